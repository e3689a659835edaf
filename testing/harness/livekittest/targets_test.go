package livekittest_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// target is a LiveKit under test, fake or real, and what a test can do to it in addition to its API.
type target struct {
	url      string
	api      *lksdk.RoomServiceClient
	receiver *fakelivekit.Receiver
	second   time.Duration // how long one of its seconds lasts

	join    func(t *testing.T, room string, who livekittest.Who) (sid string)
	leave   func(t *testing.T, room, identity string)
	publish func(t *testing.T, room, identity string)
	kill    func(t *testing.T, room string, who livekittest.Who) // joins a participant and makes the client vanish
}

func TestFake(t *testing.T) {
	t.Parallel()
	suite(t, fakeTarget)
}

func TestReal(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real livekit-server")
	}
	t.Parallel()
	suite(t, realTarget)
}

func newTarget(t *testing.T) (tg *target, hook string) {
	tg = &target{receiver: fakelivekit.NewReceiver(livekittest.Key, livekittest.Secret)}
	server := httptest.NewServer(tg.receiver)
	t.Cleanup(server.Close)
	return tg, server.URL + "/hook"
}

func fakeTarget(t *testing.T) *target {
	tg, hook := newTarget(t)
	tg.second = 300 * time.Millisecond
	fake := fakelivekit.New(fakelivekit.Options{URLs: []string{hook}, Second: tg.second})
	t.Cleanup(fake.Close)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	tg.connect(server.URL)
	tg.join = func(_ *testing.T, room string, who livekittest.Who) string { return fake.Join(room, who) }
	tg.leave = func(_ *testing.T, room, identity string) { fake.Leave(room, identity) }
	tg.publish = func(_ *testing.T, room, identity string) { fake.Publish(room, identity, "mic") }
	tg.kill = func(_ *testing.T, room string, who livekittest.Who) {
		fake.Join(room, who)
		fake.Kill(room, who.Identity)
	}
	return tg
}

func (tg *target) connect(url string) {
	tg.url = url
	tg.api = lksdk.NewRoomServiceClient(url, livekittest.Key, livekittest.Secret)
}

func realTarget(t *testing.T) *target {
	tg, hook := newTarget(t)
	tg.second = time.Second
	server := livekittest.New(t, livekittest.Options{URLs: []string{hook}})
	tg.connect(server.URL())
	people := &people{here: map[string]*livekittest.Participant{}}
	t.Cleanup(people.leave)
	tg.join = func(t *testing.T, room string, who livekittest.Who) string {
		t.Helper()
		p, err := server.Join(deadline(t), room, who)
		if err != nil {
			t.Fatal(err)
		}
		people.add(room+"/"+who.Identity, p)
		return p.Sid()
	}
	tg.leave = func(_ *testing.T, room, identity string) { people.get(room + "/" + identity).Leave() }
	tg.publish = func(t *testing.T, room, identity string) {
		t.Helper()
		if err := people.get(room + "/" + identity).Publish("mic"); err != nil {
			t.Fatal(err)
		}
	}
	tg.kill = func(t *testing.T, room string, who livekittest.Who) {
		t.Helper()
		p, err := server.Spawn(deadline(t), room, who)
		if err != nil {
			t.Fatal(err)
		}
		// The client knows that it is connected a moment before the server does. If it is killed in between, it never joined.
		tg.await(t, room, "participant_joined", 1)
		p.Kill()
	}
	return tg
}

// people holds the real clients of parallel tests.
type people struct {
	mu   sync.Mutex
	all  []*livekittest.Participant
	here map[string]*livekittest.Participant
}

func (p *people) add(key string, one *livekittest.Participant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.here[key] = one
	p.all = append(p.all, one)
}

func (p *people) get(key string) *livekittest.Participant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.here[key]
}

func (p *people) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		one.Leave()
	}
}

// deadline limits every wait of a test.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
	t.Cleanup(cancel)
	return ctx
}
