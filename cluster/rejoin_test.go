package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/memnet"
)

// Who was away joins once, whenever between two heartbeats that is.
func TestWhoComesBackStays(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		hosts, nodes := make([]*memnet.Host, 3), make([]*Node, 3)
		open := func(i int) {
			id := fmt.Sprintf("n%d", i+1)
			hosts[i] = net.Host(id)
			c := config(dirs[i])
			c.NodeID, c.RaftAddr, c.Insecure, c.Network = id, id+":7000", true, hosts[i]
			c.BootstrapExpect, c.Join, c.Logger = 3, []string{"n1:7000", "n2:7000", "n3:7000"}, slog.New(slog.DiscardHandler)
			n, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			nodes[i] = n
		}
		for i := range nodes {
			open(i)
		}
		for _, n := range nodes {
			if err := n.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		victim := slices.IndexFunc(nodes, func(n *Node) bool { return !n.Status().Established })
		leader := nodes[slices.IndexFunc(nodes, func(n *Node) bool { return n.Status().Established })]
		for range 20 {
			if err := nodes[victim].Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(1500 * time.Millisecond)
			without := leader.View()
			open(victim)
			time.Sleep(3 * time.Second)
			view := leader.View()
			if m, _ := view.Member(nodes[victim].ID()); m.Incarnation != without.Epoch+1 || view.Epoch != m.Incarnation {
				t.Errorf("without it the view was %d; now it is %d, and has it since %d", without.Epoch, view.Epoch, m.Incarnation)
			}
		}
		for i, n := range nodes {
			hosts[i].Vanish()
			gone, cancel := context.WithCancel(context.Background())
			cancel()
			_ = n.Close(gone)
		}
	})
}

// Silence counts from the last word, and a join is one; a member of an earlier term has none in its favour.
func TestSilence(t *testing.T) {
	t.Parallel()
	n := openReady(t, config(t.TempDir()))
	care := newSteward(n)
	begun := time.Now()
	at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
	old, other := fsm.Member{ID: "n2", Incarnation: 5}, fsm.Member{ID: "n3", Incarnation: 6}
	care.see(fsm.View{Members: []fsm.Member{old, other}}, time.Time{})
	care.silent["n2"] = quiet{since: at(-2)}
	back := fsm.Member{ID: "n2", Incarnation: 9}
	if got := care.silence(old, at(0)); got != 2*time.Second {
		t.Errorf("who was there before the term has been silent for %v", got)
	}
	care.see(fsm.View{Members: []fsm.Member{other}}, at(1))
	care.see(fsm.View{Members: []fsm.Member{back, other}}, at(3))
	care.see(fsm.View{Members: []fsm.Member{back, other}}, at(4))
	if got := care.silence(back, at(5)); got != 2*time.Second {
		t.Errorf("who joined 2 s ago, and is still not heard, has been silent for %v", got)
	}
	if got := care.silence(other, at(5)); got != 0 {
		t.Errorf("who is heard has been silent for %v", got)
	}
}
