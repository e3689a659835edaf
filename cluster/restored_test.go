package cluster

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// register holds the clusters' generations and epochs, as Redis does.
type register struct {
	mu         sync.Mutex
	generation uint64
	epochs     map[uint64]uint64
}

func (r *register) use(c *Config) {
	c.Generation = func(_ context.Context, ours uint64) (uint64, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if ours == 0 || r.generation > ours {
			r.generation++
			return r.generation, nil
		}
		return ours, nil
	}
	c.Epoch = func(_ context.Context, generation uint64) (uint64, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.epochs[generation], nil
	}
}

func (r *register) record(n *Node) fsm.State {
	s := n.State()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epochs[s.Generation] = max(r.epochs[s.Generation], s.View.Epoch)
	return s
}

func restore(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// grow restarts a node several times. Each start has a later epoch.
func grow(t *testing.T, cfg Config, r *register) (last fsm.State) {
	t.Helper()
	for range 4 {
		n := openReady(t, cfg)
		last = r.record(n)
		shut(t, n)
	}
	return last
}

// Data restored from an older copy leads to epochs that this cluster has used already. Every room would refuse them.
func TestRestoredDataRaisesTheGeneration(t *testing.T) {
	t.Parallel()
	for _, recorded := range []bool{true, false} {
		t.Run(map[bool]string{true: "by the epoch in Redis", false: "by the first room that refuses"}[recorded], func(t *testing.T) {
			t.Parallel()
			r := &register{epochs: map[uint64]uint64{}}
			cfg := config(t.TempDir())
			r.use(&cfg)
			grow(t, cfg, r)
			backup := t.TempDir()
			restore(t, cfg.DataDir, backup)
			later := grow(t, cfg, r)
			restore(t, backup, cfg.DataDir)
			if !recorded {
				clear(r.epochs)
			}
			n := openReady(t, cfg)
			if !recorded {
				term := n.Status().Token
				if n.State().Generation != later.Generation {
					t.Error("the generation was raised for no reason")
				}
				if err := n.NoteEpoch(t.Context(), later.Generation, later.View.Epoch); err != nil {
					t.Fatal(err)
				}
				eventually.True(t, "the term has begun again", func() bool {
					s := n.Status()
					return s.Established && s.Token.Compare(term) > 0 && s.Token.Generation > later.Generation
				})
			}
			s := n.Fence()
			if s.Generation <= later.Generation || !s.Owns("room", s.Epoch) {
				t.Errorf("%+v does not outrank generation %d, epoch %d", s, later.Generation, later.View.Epoch)
			}
			// The generation is raised once only.
			r.record(n)
			shut(t, n)
			if n = openReady(t, cfg); n.State().Generation != s.Generation {
				t.Errorf("the generation went on to %d from %d", n.State().Generation, s.Generation)
			}
		})
	}
}

// Two clusters on one Redis refuse each other's rooms. Neither raises its generation for that reason while it runs.
func TestTwoClustersDoNotOutbidEachOther(t *testing.T) {
	t.Parallel()
	r := &register{epochs: map[uint64]uint64{}}
	var nodes []*Node
	for range 2 {
		cfg := config(t.TempDir())
		r.use(&cfg)
		nodes = append(nodes, openReady(t, cfg))
	}
	var before []fsm.State
	var tokens []reconcile.Token
	for _, n := range nodes {
		before, tokens = append(before, r.record(n)), append(tokens, n.Status().Token)
	}
	if before[0].Generation == before[1].Generation {
		t.Fatal("both have one generation")
	}
	for range 20 {
		for i, n := range nodes {
			other := before[1-i]
			if err := n.NoteEpoch(t.Context(), other.Generation, other.View.Epoch+1000); err != nil {
				t.Error(err)
			}
			if err := n.NoteEpoch(t.Context(), before[i].Generation, before[i].View.Epoch); err != nil {
				t.Error(err)
			}
		}
	}
	for i, n := range nodes {
		if len(n.again) != 0 || n.Status().Token != tokens[i] || n.State().Generation != before[i].Generation {
			t.Errorf("node %d is at %+v and was at %+v", i+1, n.State(), before[i])
		}
	}
}

// TestALostGenerationRaisesTheGeneration checks that a leader begins its term again for a later generation that Redis had lost as the term began, and
// only for a later one.
func TestALostGenerationRaisesTheGeneration(t *testing.T) {
	t.Parallel()
	r := &register{epochs: map[uint64]uint64{}}
	cfg := config(t.TempDir())
	r.use(&cfg)
	n := openReady(t, cfg)
	before := n.Status()
	if err := n.NoteGeneration(t.Context(), before.Generation); err != nil || len(n.again) != 0 {
		t.Errorf("the node's own generation: %v, and the term begins again", err)
	}
	r.mu.Lock()
	r.generation = before.Generation + 7
	r.mu.Unlock()
	if err := n.NoteGeneration(t.Context(), before.Generation+7); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the term has begun again", func() bool {
		now := n.Status()
		return now.Established && now.Generation > before.Generation+7 && now.Token.Generation == now.Generation
	})
}

// A follower that a room refuses reports that to the leader.
func TestAFollowerTellsTheLeaderOfRestoredData(t *testing.T) {
	t.Parallel()
	r := &register{epochs: map[uint64]uint64{}}
	s := newSeveral(t, 3, 3, func(_ int, c *Config) { r.use(c) })
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	leader := s.leader()
	before := leader.Status()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.nodes[s.follower()].NoteEpoch(ctx, before.Generation, before.Epoch+100); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the term has begun again", func() bool {
		now := leader.Status()
		return now.Established && now.Generation > before.Generation && now.Token.Generation == now.Generation
	})
	s.view("n1", "n2", "n3")
	if now := leader.Status(); now.Epoch != before.Epoch {
		t.Errorf("the view has changed: epoch %d after %d", now.Epoch, before.Epoch)
	}
}
