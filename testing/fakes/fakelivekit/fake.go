// Package fakelivekit is an in-memory livekit-server without media, for tests. It answers the RoomService and sends webhooks as
// livekit-server v1.13.5 does (a suite in testing/harness/livekittest runs the same tests on both). It gives wrong answers only when a
// test configures a fault. It takes the same decisions for the same seed and calls, and it keeps no goroutine for a room that has
// nothing to send.
//
// All its waiting uses plain time, so with InProcess transports it runs in a testing/synctest bubble.
package fakelivekit

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/twitchtv/twirp"
)

// TurnPassword is the secret that every room event and ListRooms carry. rollcall must never store, log or show it.
const TurnPassword = "TURN-SECRET-MUST-NOT-LEAK"

// Options configure a Fake. The zero value is a server that sends no webhooks.
type Options struct {
	// APIKey and APISecret sign webhooks and check API tokens. Default: DefaultKey and DefaultSecret.
	APIKey, APISecret string
	// URLs receive every webhook, each from a queue of its own.
	URLs []string
	// Transport carries the webhooks. Default: real HTTP. InProcess makes one without sockets.
	Transport http.RoundTripper
	// Second is how long one of LiveKit's seconds lasts, default time.Second. It scales back-off, age limit, Retry-After,
	// KillTimeout, AbortTimeout, ClientTimeout and room timeouts, so that a test can run them fast. Time stamps are not scaled.
	Second time.Duration
	// KillTimeout is how long a killed client is still listed, in LiveKit's seconds. Default 19.
	KillTimeout int
	// AbortTimeout is how long a client that never becomes active is listed as JOINED, in LiveKit's seconds. Default 60.
	AbortTimeout int
	// EmptyTimeout and DepartureTimeout are when empty rooms close, in LiveKit's seconds. Default 300 and 20.
	EmptyTimeout, DepartureTimeout uint32
	// ClientTimeout limits one webhook attempt, in LiveKit's seconds; newer senders use 10. Default 0: no limit.
	ClientTimeout int
	// NoRoom is what ListParticipants answers for a room that does not exist: twirp.NotFound as LiveKit Cloud does, or
	// twirp.Unavailable after 3 s as api.enable_psrpc_for_get_list_participants makes it. Default: an empty list.
	NoRoom twirp.ErrorCode
	// ListLag makes lists older than the webhooks, in unscaled time. The list of rooms, and each room's list of participants,
	// lags by a constant time from 0 to ListLag that the seed determines. A participant who joined is not shown yet, one who left
	// still is, and a finished room is still listed.
	ListLag time.Duration
	// Seed determines all ids. Two fakes with one seed produce the same ids, so use different seeds where they share a Redis.
	Seed uint64
}

// The key and secret of a Fake and of livekittest's servers.
const (
	DefaultKey    = "devkey"
	DefaultSecret = "a-secret-for-tests-of-40-characters-long"
)

// Env returns the environment that points a node at a Fake, or at a server of livekittest, at url.
func Env(url string) []string {
	return []string{"LIVEKIT_HOST=" + url, "LIVEKIT_API_KEY=" + DefaultKey, "LIVEKIT_API_SECRET=" + DefaultSecret}
}

// Fake is the server. It is safe for concurrent use. Each method returns once the state has changed and the webhooks are queued;
// it does not wait for their delivery.
type Fake struct {
	opts Options
	api  http.Handler
	mail *sender
	done chan struct{}

	mu      sync.Mutex
	rng     *rand.Rand
	world   world
	emitted int
	down    bool
	closed  bool
	fate    func(Event) Fate
	fault   func(Call) APIFault
	held    []letter
	past    []past // recorded while lists lag
}

// New returns a running Fake. Close ends it.
func New(opts Options) *Fake {
	opts = opts.withDefaults()
	f := &Fake{
		opts:  opts,
		mail:  newSender(opts),
		done:  make(chan struct{}),
		rng:   rand.New(rand.NewPCG(opts.Seed, 0x6c69766b6974)),
		world: world{},
	}
	f.api = newAPI(f)
	return f
}

func (o Options) withDefaults() Options {
	if o.APIKey == "" {
		o.APIKey, o.APISecret = DefaultKey, DefaultSecret
	}
	o.Second = cmp.Or(o.Second, time.Second)
	o.KillTimeout = cmp.Or(o.KillTimeout, 19)
	o.AbortTimeout = cmp.Or(o.AbortTimeout, 60)
	o.EmptyTimeout = cmp.Or(o.EmptyTimeout, 300)
	o.DepartureTimeout = cmp.Or(o.DepartureTimeout, 20)
	return o
}

// seconds converts LiveKit's seconds to real time.
func (o Options) seconds(n int) time.Duration { return time.Duration(n) * o.Second }

// Close stops the server, drops unsent webhooks, ends hanging API calls and waits until all its goroutines have ended.
func (f *Fake) Close() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	f.closed, f.down = true, true
	f.world.stopTimers()
	close(f.done)
	f.mu.Unlock()
	f.mail.reset()
	f.mail.client.CloseIdleConnections()
}

// Crash acts as a SIGKILL: the API refuses connections, queued webhooks are lost, the one in flight is cut off.
func (f *Fake) Crash() {
	f.lock()
	f.down, f.held = true, nil
	f.world.stopTimers()
	f.mu.Unlock()
	f.mail.reset()
}

// Shutdown acts as a SIGTERM: everyone leaves, the rooms finish, and webhooks that are unsent after the grace period are lost.
func (f *Fake) Shutdown(grace time.Duration) {
	f.lock()
	for _, name := range f.world.names() {
		f.finish(f.world[name], reasonShutdown)
	}
	f.mu.Unlock()
	f.mail.waitIdle(grace)
	f.Crash()
}

// Start starts a crashed or shut down server again. With keep, it had a Redis store: its rooms are listed with their sids, their
// participants are phantoms, and the next access to such a room sends room_started again. Without keep, it is empty.
func (f *Fake) Start(keep bool) {
	f.lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.down, f.past = false, nil
	if !keep {
		f.world = world{}
		return
	}
	for _, r := range f.world {
		r.orphaned = true
		for _, p := range r.people {
			p.phantom = true
		}
	}
}

// Stats returns what has happened to the webhooks so far.
func (f *Fake) Stats() Stats { return f.mail.snapshot() }

// ServeHTTP answers the RoomService as the real server does, under /twirp/livekit.RoomService/.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	down := f.down
	f.mu.Unlock()
	if down {
		refuse(w)
		return
	}
	f.api.ServeHTTP(w, r)
}
