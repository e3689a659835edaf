package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/rollcallhq/rollcall/testing/compose"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// real is a cluster next to a real livekit-server, which sends its webhooks to each node.
type real struct {
	*World
	api    *lksdk.RoomServiceClient
	rooms  int
	people []*livekittest.Participant
}

// TestRealLiveKit kills, stops and freezes a real livekit-server that has rooms and real participants, and also kills a leader:
// Redis must equal what LiveKit then lists within the promised number of cycles.
func TestRealLiveKit(t *testing.T) {
	if os.Getenv("CHAOS") == "" || os.Getenv("CHAOS_NEMESIS") != "" {
		t.Skip("make chaos without NEMESIS runs it")
	}
	ctx, e := need(t)
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if o.Dir != "" {
		o.Dir = filepath.Join(o.Dir, "real-livekit")
	}
	r := newReal(ctx, t, e, o)
	dice := rand.New(rand.NewPCG(o.Seed, 2))
	r.fill(ctx, t, dice)
	r.right(ctx, t, &Fault{Name: "the beginning"})
	p := r.project
	strikes := []struct {
		name         string
		hit, undo    func(context.Context) error
		back, busier bool // back: LiveKit starts with no rooms; busier: the leader is killed at the same time
	}{
		{"kill -9 LiveKit", func(c context.Context) error { return p.Kill(c, "livekit") }, func(c context.Context) error { return p.Start(c, "livekit") }, true, false},
		{"SIGTERM to LiveKit", func(c context.Context) error { return p.Stop(c, "livekit") }, func(c context.Context) error { return p.Start(c, "livekit") }, true, false},
		{"pause LiveKit", func(c context.Context) error { return p.Pause(c, "livekit") }, func(c context.Context) error { return p.Unpause(c, "livekit") }, false, false},
		{"kill -9 LiveKit and the leader", func(c context.Context) error { return p.Kill(c, "livekit") }, func(c context.Context) error { return p.Start(c, "livekit") }, true, true},
	}
	dice.Shuffle(len(strikes), func(i, j int) { strikes[i], strikes[j] = strikes[j], strikes[i] })
	for _, s := range strikes {
		leader := ""
		f := r.report.begin(s.name)
		f.mark = time.Now()
		if err := s.hit(ctx); err != nil {
			t.Fatal(err)
		}
		if s.busier {
			if leader, err = r.leader(ctx); err == nil {
				err = p.Kill(ctx, leader)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		pass(ctx, o.Hold/2)
		if err := s.undo(ctx); err != nil {
			t.Fatal(err)
		}
		if leader != "" {
			err = p.Start(ctx, leader)
			clear(r.busy)
		}
		if err := errors.Join(err, p.AwaitHealthy(ctx, "livekit")); err != nil {
			t.Fatal(err)
		}
		r.report.heal(f)
		if s.back {
			r.fill(ctx, t, dice)
		}
		r.right(ctx, t, f)
	}
	for _, one := range r.people {
		one.Leave()
	}
	_, err = r.foldFeed(ctx)
	err = errors.Join(err, r.checkForeign(ctx), r.checkSecrets(ctx))
	r.finish(ctx)
	if err := errors.Join(err, r.report.write(o.Dir, r.logs)); err != nil {
		t.Error(err)
	}
	for _, v := range r.report.Violations {
		t.Errorf("%.1f s, invariant %d: %s", v.At, v.Invariant, v.Text)
	}
}

func newReal(ctx context.Context, t *testing.T, e *compose.Engine, o Options) *real {
	t.Helper()
	o.RealLiveKit = true
	w, err := NewWorld(ctx, t, e, o)
	if err != nil {
		t.Fatal(err)
	}
	return &real{World: w, api: lksdk.NewRoomServiceClient("http://"+w.ip("livekit")+":7880", compose.Key, compose.Secret)}
}

// fill creates rooms, ends some of the existing ones, and adds real participants to a few.
func (r *real) fill(ctx context.Context, t *testing.T, dice *rand.Rand) {
	t.Helper()
	for range 40 {
		r.rooms++
		name := fmt.Sprintf("real-%d", r.rooms)
		if _, err := r.api.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: name, Metadata: name}); err != nil {
			t.Fatal(err)
		}
		if dice.IntN(4) == 0 {
			if _, err := r.api.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 3 {
		room, who := fmt.Sprintf("real-%d", r.rooms-i), fmt.Sprintf("someone-%d", r.rooms+i)
		token, err := auth.NewAccessToken(compose.Key, compose.Secret).SetIdentity(who).SetValidFor(time.Hour).
			SetVideoGrant(&auth.VideoGrant{RoomJoin: true, Room: room, RoomCreate: true}).ToJWT()
		if err != nil {
			t.Fatal(err)
		}
		one, err := livekittest.Connect(ctx, "ws://"+r.ip("livekit")+":7880", token)
		if err != nil {
			t.Fatal(err)
		}
		r.people = append(r.people, one)
	}
}

// right waits until Redis equals LiveKit. The limit is the first complete cycle that begins livekitLag from now, and livekitLag
// after the room's last change in Redis, plus the time of a second look; where the breaker held a cycle, the third.
func (r *real) right(ctx context.Context, t *testing.T, f *Fault) {
	t.Helper()
	healed := time.Now()
	err := await(patience, ctx.Done(), func() error {
		d, err := r.compareReal(ctx)
		if err != nil {
			return err
		}
		cycles := r.watch.after(healed)
		f.Cycles, f.Held = len(good(cycles)), f.Held || slices.ContainsFunc(cycles, held)
		r.checkCycles(f, healed.Add(livekitLag), d)
		if len(d.wrong) > 0 {
			return fmt.Errorf("%d rooms are wrong, such as: %s", len(d.wrong), example(d))
		}
		f.Right = r.report.since(d.at)
		return nil
	})
	if err != nil {
		r.violate(7, "%s: %v", f.Name, err)
	}
	f.end = time.Now()
	r.note("%s: right %.1f s after the heal (%d cycles, held %v)", f.Name, f.Converged(), f.Cycles, f.Held)
}

// compareReal compares Redis with LiveKit, which may change during the comparison: what it lists before and after must be the
// same.
func (r *real) compareReal(ctx context.Context) (difference, error) {
	d := difference{at: time.Now()}
	want, err := oracle.Listed(ctx, r.api, oracle.CountKinds())
	if err != nil {
		return d, err
	}
	moment, err := r.readRedis(ctx)
	if err != nil {
		return d, err
	}
	got, err := moment.Views(oracle.CountKinds())
	if err != nil {
		return d, err
	}
	again, err := oracle.Listed(ctx, r.api, oracle.CountKinds())
	if err == nil {
		err = oracle.Agree(want, again, false)
	}
	if err != nil {
		return d, fmt.Errorf("LiveKit changed while it was looked at: %w", err)
	}
	d.hold(want, got, moment, false)
	d.told = d.written // nobody else sees the webhooks of the real LiveKit
	return d, nil
}
