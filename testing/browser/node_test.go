package browser

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// binary is the rollcall that the tests share. It is built when the first test asks for it.
type binary struct {
	once sync.Once
	dir  string
	path string
	err  error
}

var rollcall binary

func (r *binary) get(t *testing.T) string {
	t.Helper()
	r.once.Do(func() {
		if r.dir, r.err = os.MkdirTemp("", "rollcall-browser"); r.err == nil {
			r.path, r.err = nodetest.Build(context.Background(), r.dir, nodetest.Race())
		}
	})
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.path
}

func (r *binary) remove() { _ = os.RemoveAll(r.dir) } // does nothing if there is none

// place is a real node, as `make dev` runs it, between a real Redis and a fake LiveKit that the test controls.
type place struct {
	*nodetest.Node
	t       *testing.T
	livekit *fakelivekit.Fake
	api     *httptest.Server // LiveKit's API
	redis   *redistest.Server
}

// newPlace starts a place whose schedule does nothing after the first sync.
func newPlace(t *testing.T) *place {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	p := &place{t: t, redis: redistest.Start(t)}
	p.Node = nodetest.New(t, nodetest.Options{Binary: rollcall.get(t), ID: "n1", Flags: []string{"--sync-interval=1h", "--stale-after=24h", "--cleanup-interval=23h"}})
	p.livekit = fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{p.URL() + "/api/livekit-webhook"}})
	t.Cleanup(p.livekit.Close)
	p.api = httptest.NewServer(p.livekit)
	t.Cleanup(func() { p.api.Close() })
	p.Env = append(fakelivekit.Env(p.api.URL), "REDIS_URL="+p.redis.URL())
	p.Up()
	t.Cleanup(func() {
		p.Terminate()
		p.CheckLog()
	})
	return p
}

func (p *place) join(room string, who ...string) {
	for _, identity := range who {
		p.livekit.Join(room, fakelivekit.Who{Identity: identity})
	}
}

// unheard calls do while rollcall gets no webhooks.
func (p *place) unheard(do func()) {
	p.livekit.SetFate(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	defer p.livekit.SetFate(nil)
	do()
}

// holds checks what Redis has in a room's key, as an application reads it. nil means no key.
func (p *place) holds(room string, want ...string) {
	p.t.Helper()
	var got []string
	raw, err := p.redis.Client().Get(p.t.Context(), "rooms:participants:"+room).Bytes()
	if err == nil {
		err = json.Unmarshal(raw, &got)
	}
	if want != nil && err != nil || !slices.Equal(got, want) {
		p.t.Errorf("Redis has %q in %s (%v), want %q", got, room, err, want)
	}
}

// token returns a token with which LiveKit's operators act on the cluster.
func (p *place) token() string {
	p.t.Helper()
	token, err := auth.NewAccessToken(fakelivekit.DefaultKey, fakelivekit.DefaultSecret).
		SetVideoGrant(&auth.VideoGrant{RoomList: true, RoomAdmin: true}).SetValidFor(time.Hour).ToJWT()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// hand presses buttons, and records those that it has seen and those that it has pressed.
type hand struct {
	*browsertest.Tab
	seen, pressed map[string]bool
}

func newHand(b *browsertest.Tab) *hand {
	return &hand{Tab: b, seen: map[string]bool{}, pressed: map[string]bool{}}
}

// press presses the button of that name, which is its label for people who do not see it.
func (h *hand) press(name string) {
	for _, found := range browsertest.Eval[[]string](h.Tab, `all("button").filter((e) => !idle(e)).map(says)`) {
		h.seen[steady(found)] = true
	}
	h.pressed[steady(name)] = true
	h.Press(name)
}

// steady returns a button's name without the state of the connection, which may change at any time.
func steady(name string) string {
	if strings.HasPrefix(name, "Connection: ") {
		return "Connection"
	}
	return name
}

func (h *hand) unpressed() (names []string) {
	for name := range h.seen {
		if !h.pressed[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
