package cluster

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/testing/memnet"
)

// cutOff runs three nodes in a bubble and cuts a follower off the others while harm is done.
func cutOff(t *testing.T, harm func(leader *Node, victim string), then func(leader, victim *Node)) {
	synctest.Test(t, func(t *testing.T) {
		net := memnet.New()
		var nodes []*Node
		var hosts []*memnet.Host
		for _, id := range []string{"n1", "n2", "n3"} {
			host := net.Host(id)
			c := config("")
			c.NodeID, c.RaftAddr, c.Insecure, c.Network, c.DeadAfter = id, id+":7000", true, host, 3*time.Second
			c.BootstrapExpect, c.Join, c.Logger = 3, []string{"n1:7000", "n2:7000", "n3:7000"}, slog.New(slog.DiscardHandler)
			n, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			nodes, hosts = append(nodes, n), append(hosts, host)
		}
		var leader, victim *Node
		for _, n := range nodes {
			if err := n.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n.Status().Established {
				leader = n
			} else {
				victim = n
			}
		}
		var heals []func()
		for _, n := range nodes {
			if n != victim {
				heals = append(heals, net.Cut(n.ID(), victim.ID()), net.Cut(victim.ID(), n.ID()))
			}
		}
		harm(leader, victim.ID())
		for _, heal := range heals {
			heal()
		}
		then(leader, victim)
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		for i, n := range nodes {
			hosts[i].Vanish()
			_ = n.Close(gone)
		}
	})
}

// A process that was cut off for longer than --dead-after comes back by itself, as another incarnation and a voter.
func TestADeadNodeThatLivesComesBack(t *testing.T) {
	before := uint64(0)
	cutOff(t, func(*Node, string) { time.Sleep(10 * time.Second) }, func(leader, victim *Node) {
		before = victim.Status().Incarnation
		time.Sleep(15 * time.Second)
		if err := victim.Ready(); err != nil || victim.Status().Incarnation <= before {
			t.Errorf("incarnation %d after %d: %v", victim.Status().Incarnation, before, err)
		}
		if voters := votersOf(leader); len(voters) != 3 {
			t.Errorf("the voters are %v", voters)
		}
	})
}

// A process that was removed while it was cut off hears of it later.
func TestARemovalThatWasNotHeard(t *testing.T) {
	cutOff(t, func(leader *Node, victim string) {
		if err := leader.Remove(context.Background(), victim); err != nil {
			t.Errorf("remove %s: %v", victim, err)
		}
		time.Sleep(10 * time.Second)
	}, func(_, victim *Node) {
		select {
		case err := <-victim.Failure():
			if !errors.Is(err, ErrRemoved) {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("it goes on")
		}
	})
}
