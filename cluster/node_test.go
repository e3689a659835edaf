package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

const patience = 20 * time.Second

func fixed(generation uint64) func(context.Context, uint64) (uint64, error) {
	return func(context.Context, uint64) (uint64, error) { return generation, nil }
}

// config returns the configuration of node n1 with its data in dir.
func config(dir string, tasks ...Task) Config {
	return Config{NodeID: "n1", DataDir: dir, NodeAddr: "127.0.0.1:0", Version: "test",
		BootstrapExpect: 1, Generation: fixed(41), Tasks: tasks, Logger: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, cfg Config) *Node {
	t.Helper()
	n, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, n) })
	return n
}

func openReady(t *testing.T, cfg Config) *Node {
	t.Helper()
	n := open(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return n
}

func shut(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Error(err)
	}
}

func apply(t *testing.T, n *Node, cmd fsm.Command) fsm.Result {
	t.Helper()
	res, err := n.Apply(t.Context(), cmd)
	if err != nil {
		t.Fatalf("%#v: %v", cmd, err)
	}
	return res
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	n := openReady(t, config(t.TempDir()))
	var term Term
	if err := n.Lead(t.Context(), func(_ context.Context, in Term) error { term = in; return nil }); err != nil {
		t.Fatal(err)
	}
	s := n.Status()
	if s.Leader != "n1" || !s.Established || s.Generation != 41 || !s.ServiceRunning || s.RaftState != "Leader" || s.SinceContact != 0 {
		t.Errorf("status %+v", s)
	}
	if s.Incarnation == 0 || s.Epoch != s.Incarnation || s.Token.Index >= s.Incarnation || s.Token != term.Token || s.Term != term.Number {
		t.Errorf("status %+v of term %+v", s, term)
	}
	want := fsm.Member{ID: "n1", Incarnation: s.Incarnation, NodeAddr: s.NodeAddr, Version: "test",
		HashVersion: fsm.HashVersion}
	if len(s.Members) != 1 || s.Members[0] != want {
		t.Errorf("members %+v, want %+v", s.Members, want)
	}
	got := n.Fence()
	if got.Generation != 41 || got.Epoch != s.Epoch || got.Incarnation != s.Incarnation || got.Token != s.Token || !got.Owns("a room", s.Epoch) {
		t.Errorf("fence %+v", got)
	}
	_, err := n.Apply(t.Context(), fsm.RecordReport{Kind: fsm.KindSync, JSON: json.RawMessage("{}")})
	if !errors.Is(err, fsm.StaleToken) {
		t.Errorf("a report without the term's token: %v", err)
	}
}

func TestRestartKeepsWhatWasAgreed(t *testing.T) {
	t.Parallel()
	for _, snapshot := range []bool{false, true} {
		name := map[bool]string{false: "from the log", true: "from a snapshot"}[snapshot]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t.TempDir())
			n := openReady(t, cfg)
			before := n.Status()
			apply(t, n, fsm.SetService{Running: false})
			if snapshot {
				if err := n.raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
			}
			apply(t, n, fsm.RecordReport{Kind: fsm.KindSync, Token: before.Token, JSON: json.RawMessage(`{"synced":3}`)})
			shut(t, n)

			cfg.Generation = func(_ context.Context, ours uint64) (uint64, error) {
				if ours != 41 {
					t.Errorf("asked with generation %d", ours)
				}
				return 0, errors.New("Redis is away")
			}
			n = openReady(t, cfg)
			after, state := n.Status(), n.State()
			if after.Generation != 41 || after.ServiceRunning || string(state.Reports[fsm.KindSync].JSON) != `{"synced":3}` {
				t.Errorf("after the restart: %+v", state)
			}
			if after.Incarnation <= before.Incarnation || after.Epoch <= before.Epoch || after.Token.Compare(before.Token) <= 0 {
				t.Errorf("before %+v, after %+v", before, after)
			}
		})
	}
}

func TestARestartOutranksAClusterThatWasFoundedSince(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	n := openReady(t, cfg)
	before := n.Status()
	shut(t, n)
	for _, g := range []uint64{60, 60, 50} {
		cfg.Generation = fixed(g)
		n = openReady(t, cfg)
		if s := n.Status(); s.Generation != 60 || s.Token.Compare(before.Token) <= 0 || s.Token.Generation != 60 {
			t.Errorf("with %d: %+v", g, s)
		}
		shut(t, n)
	}
}

func TestRestartOnAnotherPort(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	n := openReady(t, cfg)
	before := n.Status().NodeAddr
	// The old port stays in use, so that the node must get another one.
	shut(t, n)
	blocker, err := net.Listen("tcp", before)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	for range 2 { // the second time, the corrected address is in the log
		n = openReady(t, cfg)
		after := n.Status().NodeAddr
		servers := n.raft.GetConfiguration()
		if err := servers.Error(); err != nil {
			t.Fatal(err)
		}
		have := servers.Configuration().Servers
		if after == before || len(have) != 1 || have[0].Address != raft.ServerAddress(after) {
			t.Fatalf("listens on %s, was %s; raft's servers: %+v", after, before, have)
		}
		if m := n.State().View.Members[0]; m.NodeAddr != after {
			t.Fatalf("member %+v, listens on %s", m, after)
		}
		shut(t, n)
	}
}

func TestGenerationIsAskedForUntilItComes(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var up atomic.Bool
	cfg := config(t.TempDir(), Task{Name: "sync", Every: time.Hour, AtOnce: true, Run: func(context.Context, Term) error {
		if !up.Load() {
			t.Error("a task ran before there was a generation")
		}
		return nil
	}})
	cfg.Generation = func(context.Context, uint64) (uint64, error) {
		calls.Add(1)
		if up.Load() {
			return 52, nil
		}
		return 0, errors.New("connection refused")
	}
	n := open(t, cfg)
	eventually.True(t, "several attempts", func() bool { return calls.Load() >= 3 })
	eventually.True(t, "the reason is told", func() bool {
		err := n.Ready()
		return err != nil && strings.Contains(err.Error(), "waiting for Redis to give the generation: connection refused")
	})
	if err := n.Lead(t.Context(), func(context.Context, Term) error { return nil }); !errors.Is(err, ErrNoLeader) {
		t.Errorf("Lead without a generation: %v", err)
	}
	if n.Fence().Owns("room", 0) {
		t.Error("it owns a room without a view")
	}
	up.Store(true)
	eventually.True(t, "ready", func() bool { return n.Ready() == nil })
	if g := n.Status().Generation; g != 52 {
		t.Errorf("generation %d", g)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	cfg := config(t.TempDir(), Task{Name: "sync", Every: time.Millisecond, Run: func(context.Context, Term) error { return nil }})
	n := openReady(t, cfg)
	shut(t, n)
	shut(t, n) // a second Close does nothing
	if err := n.Ready(); err == nil {
		t.Error("a closed node is ready")
	}
	if _, err := n.Apply(t.Context(), fsm.SetService{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
	if err := n.Lead(t.Context(), func(context.Context, Term) error { return nil }); !errors.Is(err, ErrNoLeader) {
		t.Errorf("Lead after Close: %v", err)
	}
	if len(n.State().View.Members) != 0 {
		t.Error("the node is still in the view")
	}
	eventually.True(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}
