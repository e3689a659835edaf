package clusterkit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

const (
	// answerWithin is longer than a node may take to answer a webhook.
	answerWithin = 10 * time.Second
	// mostOpen limits the concurrent requests of a Load: LiveKit has one for each room and URL. There must be more than a node
	// completes in the time that it has for a webhook, or the limit and not the node keeps the load within what it can do.
	mostOpen = 6000
)

// LoadRoom is a room of a Load. It must exist in LiveKit.
type LoadRoom struct {
	Name, SID string
	Created   int64 // Unix ms
}

// Load sends webhooks that it makes itself, of participants who join and leave at once. It sends them at the given rate, not at
// the one that LiveKit's queues allow. A refused leave is sent again after Retry-After and counts towards the rate; a refused
// join is not sent again.
type Load struct {
	URL         string
	Key, Secret string
	Rooms       []LoadRoom
	Transport   http.RoundTripper
	// Emitted, if set, is called for each event before its first attempt.
	Emitted func(fakelivekit.Event)

	mu       sync.Mutex
	joined   int       // the number of joins so far
	leaves   []*letter // due
	later    int       // number of leaves that wait for their Retry-After
	attempts []attempt // since the last Result
}

// letter is one webhook. A join contains the leave that follows it.
type letter struct {
	body, token string
	leave       *letter
}

// attempt is the result of one request. Status 0 means no answer, and err says why.
type attempt struct {
	status     int
	err        error
	took       time.Duration
	retryAfter bool
}

// Result counts the attempts that ended in a period, by their outcome.
type Result struct {
	Took time.Duration
	// Sent counts all attempts, OK those answered with 200, Refused those answered with 503. Unsaid counts refusals without
	// Retry-After, Failed all other outcomes. Kept counts webhooks that were due while mostOpen requests were open, and were not
	// sent.
	Sent, OK, Refused, Unsaid, Failed, Kept int
	// Why is the outcome of one of the Failed.
	Why string
	// OKMedian and OKP99 are the median and 99th percentile of the times to a 200, RefusedP99 and RefusedMax the 99th percentile
	// and maximum of the times to a refusal.
	OKMedian, OKP99, RefusedP99, RefusedMax time.Duration
}

// Rate returns how many webhooks were answered with 200 per second.
func (r Result) Rate() float64 { return float64(r.OK) / r.Took.Seconds() }

// String returns the result as one line, as reports show it.
func (r Result) String() string {
	why := ""
	if r.Failed > 0 {
		why = fmt.Sprintf(" (one of them: %s)", r.Why)
	}
	return fmt.Sprintf("%.0f sent a second, %.0f answered with 200 (median %v, p99 %v), %.0f %% refused (p99 %v, longest %v), %d without Retry-After, %d otherwise%s, %d not sent",
		float64(r.Sent)/r.Took.Seconds(), r.Rate(), round(r.OKMedian), round(r.OKP99), 100*float64(r.Refused)/float64(max(r.Sent, 1)),
		round(r.RefusedP99), round(r.RefusedMax), r.Unsaid, r.Failed, why, r.Kept)
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// Closed measures the capacity of a node: that many senders send for a period, each waiting for its answer.
func (l *Load) Closed(ctx context.Context, senders int, within time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	begun := time.Now()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for ctx.Err() == nil {
				l.send(l.take())
			}
		})
	}
	all.Wait()
	return l.result(time.Since(begun))
}

// Open sends at that rate for a period, whatever the answers, with at most mostOpen requests open. It returns when each request
// has ended.
func (l *Load) Open(ctx context.Context, rate float64, within time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	begun := time.Now()
	var all sync.WaitGroup
	open, kept := make(chan struct{}, mostOpen), 0
	for sent := 0; ctx.Err() == nil; {
		for due := int(time.Since(begun).Seconds() * rate); sent < due; sent++ {
			select {
			case open <- struct{}{}:
				all.Go(func() { l.send(l.take()); <-open })
			default:
				kept++
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	took := time.Since(begun)
	all.Wait()
	r := l.result(took)
	r.Kept = kept
	return r
}

// Finish sends the remaining leaves, from that many senders, until each is answered with 200. It returns the error of ctx.
func (l *Load) Finish(ctx context.Context, senders int) error {
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			tick := time.NewTicker(pulse)
			defer tick.Stop()
			for ctx.Err() == nil {
				leave, more := l.takeLeave()
				switch {
				case leave != nil:
					l.send(leave)
				case !more:
					return
				default:
					<-tick.C
				}
			}
		})
	}
	all.Wait()
	return ctx.Err()
}

// take returns the next webhook: a leave that is due, or else a join.
func (l *Load) take() *letter {
	if leave, _ := l.takeLeave(); leave != nil {
		return leave
	}
	l.mu.Lock()
	l.joined++
	n := l.joined
	l.mu.Unlock()
	room := l.Rooms[n%len(l.Rooms)]
	join := l.write("participant_joined", room, n)
	join.leave = l.write("participant_left", room, n)
	return join
}

// takeLeave returns a leave that is due, if there is one; more reports whether others wait.
func (l *Load) takeLeave() (leave *letter, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.leaves) == 0 {
		return nil, l.later > 0
	}
	leave = l.leaves[0]
	l.leaves = l.leaves[1:]
	return leave, true
}

// The fields that LiveKit sends besides those that change, so that a webhook has its usual size.
const (
	roomRest = `"emptyTimeout":300,"departureTimeout":20,"turnPassword":"pRw7tGhY2kLm9QxZ","metadata":"","enabledCodecs":[{"mime":"audio/PCMU"},{"mime":"audio/PCMA"},` +
		`{"mime":"audio/opus"},{"mime":"audio/red"},{"mime":"video/VP8"},{"mime":"video/H264"},{"mime":"video/VP9"},{"mime":"video/AV1"},{"mime":"video/H265"},{"mime":"video/rtx"}]`
	participantRest = `"name":"A Name","permission":{"canSubscribe":true,"canPublish":true,"canPublishData":true,"canUpdateMetadata":true}`
)

func (l *Load) write(event string, room LoadRoom, n int) *letter {
	now := time.Now()
	state := map[string]string{"participant_joined": "ACTIVE", "participant_left": "DISCONNECTED"}[event]
	sid, identity := fmt.Sprintf("PA_%s%d", strings.TrimPrefix(room.SID, "RM_"), n), fmt.Sprintf("load-%d", n)
	body := fmt.Sprintf(`{"event":%q,"id":"EV_%s_%s","createdAt":"%d","room":{"sid":%q,"name":%q,"creationTime":"%d","creationTimeMs":"%d",`+roomRest+`},`+
		`"participant":{"sid":%q,"identity":%q,"state":%q,"joinedAt":"%d","joinedAtMs":"%d","version":2,`+participantRest+`}}`, event, sid, event, now.Unix(), room.SID,
		room.Name, room.Created/1000, room.Created, sid, identity, state, now.Unix(), now.UnixMilli())
	token, err := fakelivekit.Sign([]byte(body), l.Key, l.Secret)
	if err != nil {
		panic(err) // only an empty key can cause that
	}
	if l.Emitted != nil {
		l.Emitted(fakelivekit.Event{Name: event, Room: room.Name, RoomSid: room.SID, Identity: identity, Sid: sid})
	}
	return &letter{body: body, token: token}
}

// send makes one attempt, records its result and queues what follows. It does not end with its caller's context, because the node
// may have accepted the webhook.
func (l *Load) send(one *letter) {
	a, after := l.attempt(one)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
	switch ok := a.status == http.StatusOK; {
	case one.leave != nil && (ok || a.status == 0):
		l.leaves = append(l.leaves, one.leave)
	case one.leave == nil && !ok:
		l.later++
		time.AfterFunc(after, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.later--
			l.leaves = append(l.leaves, one)
		})
	}
}

func (l *Load) attempt(one *letter) (a attempt, after time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	begun := time.Now()
	defer func() { a.took = time.Since(begun) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL, bytes.NewReader([]byte(one.body)))
	if err != nil {
		a.err = err
		return a, time.Second
	}
	req.Header.Set("Authorization", one.token)
	req.Header.Set("Content-Type", "application/webhook+json")
	resp, err := l.Transport.RoundTrip(req)
	if err != nil {
		a.err = err
		return a, time.Second
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	a.status, a.retryAfter = resp.StatusCode, err == nil && seconds > 0
	return a, time.Duration(max(seconds, 1)) * time.Second
}

// result sums up the attempts since the last result.
func (l *Load) result(took time.Duration) Result {
	l.mu.Lock()
	attempts := l.attempts
	l.attempts = nil
	l.mu.Unlock()
	r := Result{Took: took, Sent: len(attempts)}
	var ok, refused []time.Duration
	for _, a := range attempts {
		switch a.status {
		case http.StatusOK:
			r.OK++
			ok = append(ok, a.took)
		case http.StatusServiceUnavailable:
			r.Refused++
			refused = append(refused, a.took)
			if !a.retryAfter {
				r.Unsaid++
			}
		default:
			r.Failed++
			r.Why = fmt.Sprintf("status %d, %v, after %v", a.status, a.err, round(a.took))
		}
	}
	r.OKMedian, r.OKP99 = percentile(ok, 0.5), percentile(ok, 0.99)
	r.RefusedP99, r.RefusedMax = percentile(refused, 0.99), percentile(refused, 1)
	return r
}

func percentile(took []time.Duration, p float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(p*float64(len(took)-1))]
}

// MakeLoad adds one participant, who stays, to each of that many rooms of LiveKit, and returns a Load for those rooms, without a
// URL and a transport.
func MakeLoad(livekit *fakelivekit.Fake, key, secret string, rooms int) *Load {
	l := &Load{Key: key, Secret: secret}
	var names []string
	for i := range rooms {
		names = append(names, fmt.Sprintf("load-%04d", i))
		livekit.Join(names[i], fakelivekit.Who{Identity: "stays"})
	}
	for _, room := range livekit.Snapshot().Rooms(names...) {
		l.Rooms = append(l.Rooms, LoadRoom{Name: room.Name, SID: room.Sid, Created: room.CreationTimeMs})
	}
	return l
}

// PeakMemory returns the largest resident memory of a process so far, in bytes. It reads /proc, so it works only on Linux.
func PeakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process: %w", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return 0, fmt.Errorf("read the memory of a process: %w", err)
	}
	return kB << 10, nil
}
