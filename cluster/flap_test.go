package cluster

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// views counts the different views that the nodes see within a time.
func (s *trio) views(during time.Duration) int {
	seen := map[uint64]bool{}
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, n := range s.nodes {
			seen[n.View().Epoch] = true
		}
	}
	return len(seen)
}

// worked gives each node of a trio some work, by the node's name.
func worked() (works map[string]*work, change func(*Config)) {
	works = map[string]*work{"n1": {}, "n2": {}, "n3": {}}
	return works, func(c *Config) { c.Health = works[c.NodeID].fit }
}

// A node that fails most of its attempts to reach Redis withdraws once. Its rooms do not move back and forth every few seconds.
func TestATroubleThatComesAndGoesMovesRoomsOnce(t *testing.T) {
	works, change := worked()
	inTrio(t, change, func(s *trio) {
		w := works[s.nodes[s.follower()].ID()]
		w.mends = 5
		w.broken.Store(true)
		if n := s.views(30 * time.Second); n > 6 {
			s.Errorf("%d views in 30 s", n)
		}
	})
}

// When a node's work fails completely for a while and then succeeds for a while, again and again, its rooms move less and less often.
func TestATroubleThatReturnsMovesRoomsEverMoreSeldom(t *testing.T) {
	works, change := worked()
	inTrio(t, change, func(s *trio) {
		w := works[s.nodes[s.follower()].ID()]
		stop := make(chan struct{})
		var swings sync.WaitGroup
		swings.Go(func() {
			for broken := true; ; broken = !broken {
				w.broken.Store(broken)
				select {
				case <-time.After(8 * time.Second):
				case <-stop:
					return
				}
			}
		})
		first := s.views(time.Minute)
		if later := s.views(time.Minute); first > 6 || later > 3 {
			s.Errorf("%d views in the first minute, %d in the second", first, later)
		}
		close(stop)
		swings.Wait()
	})
}

// The same holds for a node that others reach only now and then.
func TestReachThatComesAndGoesMovesRoomsOnce(t *testing.T) {
	var mu sync.Mutex
	victim, tries := "", 0
	inTrio(t, func(c *Config) {
		c.Reach = func(_ context.Context, addr string) error {
			mu.Lock()
			defer mu.Unlock()
			if tries++; addr == victim && tries%10 != 0 {
				return errShut
			}
			return nil
		}
	}, func(s *trio) {
		mu.Lock()
		victim = s.nodes[s.follower()].cfg.NodeAddr
		mu.Unlock()
		if n := s.views(time.Minute); n > 6 {
			s.Errorf("%d views in a minute", n)
		}
	})
}

// A Redis that answers half of all attempts too late, for all nodes alike, moves neither rooms nor the leadership.
func TestARedisThatIsSlowForAllMovesNobody(t *testing.T) {
	inTrio(t, func(c *Config) {
		random := rand.New(rand.NewPCG(uint64(len(c.DataDir)), uint64(c.NodeID[1])))
		c.Health = func(context.Context) error {
			if random.Float64() < 0.5 {
				return errBroken
			}
			return nil
		}
	}, func(s *trio) {
		term := s.nodes[0].Status().Term
		if n := s.views(60 * time.Second); n > 3 {
			s.Errorf("%d views in 60 s", n)
		}
		if now := s.nodes[0].Status().Term; now != term {
			s.Errorf("the lead moved: term %d, and then %d", term, now)
		}
	})
}

// A node whose work fails completely gives up its rooms, and the leadership, within seconds.
func TestAPlainFailureMovesRoomsSoon(t *testing.T) {
	for _, leads := range []bool{false, true} {
		works, change := worked()
		inTrio(t, change, func(s *trio) {
			i := s.follower()
			if leads {
				i = s.leader()
			}
			victim := s.nodes[i]
			time.Sleep(healthWindow)
			works[victim.ID()].broken.Store(true)
			begun := time.Now()
			for {
				_, member := s.nodes[(i+1)%3].View().Member(victim.ID())
				if !member {
					break
				}
				if time.Since(begun) > time.Minute {
					s.Error("it stays")
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			if took := time.Since(begun); took > 4*time.Second || took < time.Second {
				s.Errorf("leads %v: its rooms were given away after %v", leads, took)
			}
		})
	}
}

// If each node fails at something that the others can do, no node is better than another, and nothing moves.
func TestNodesThatFailAtDifferentThingsStay(t *testing.T) {
	broken := make(chan struct{})
	inTrio(t, func(c *Config) {
		c.Health = func(context.Context) error {
			select {
			case <-broken:
				return Failing{c.NodeID: errBroken}
			default:
				return nil
			}
		}
	}, func(s *trio) {
		close(broken)
		if n := s.views(time.Minute); n != 1 {
			s.Errorf("%d views", n)
		}
	})
}

// What fails on all nodes moves no rooms. A node on which more fails than on the others withdraws.
func TestWhatFailsForAllMovesNobodyWhatFailsForOneDoes(t *testing.T) {
	broken := make(chan struct{})
	var one string
	inTrio(t, func(c *Config) {
		c.Health = func(context.Context) error {
			select {
			case <-broken:
			default:
				return nil
			}
			f := Failing{"shard 1": errBroken}
			if c.NodeID == one {
				f["shard 2"] = errBroken
			}
			return f
		}
	}, func(s *trio) {
		one = s.nodes[s.follower()].ID()
		close(broken)
		time.Sleep(20 * time.Second)
		for _, n := range s.nodes {
			_, member := n.View().Member(one)
			if members := len(n.View().Members); member || members != 2 {
				s.Errorf("%s sees %d members; %s is one: %v", n.ID(), members, one, member)
			}
			if err := n.Ready(); (err == nil) != (n.ID() != one) {
				s.Errorf("%s is ready: %v", n.ID(), err)
			}
		}
	})
}

// A withdrawn node that is elected owns nothing and hands the leadership to a node that works.
func TestAWithdrawnNodeThatIsElectedStaysOutOfTheView(t *testing.T) {
	works, change := worked()
	inTrio(t, change, func(s *trio) {
		victim := s.nodes[s.follower()]
		works[victim.ID()].broken.Store(true)
		time.Sleep(10 * time.Second)
		for range 3 {
			leader := s.nodes[s.leader()]
			before := leader.View().Epoch
			if err := leader.raft.LeadershipTransferToServer(raft.ServerID(victim.ID()), raft.ServerAddress(victim.cfg.NodeAddr)).Error(); err != nil {
				s.Error(err)
				return
			}
			led := false
			for range 500 {
				time.Sleep(20 * time.Millisecond)
				led = led || victim.Status().Established
				if _, member := victim.View().Member(victim.ID()); member {
					s.Error("it joined because it leads")
					return
				}
			}
			if !led {
				s.Error("it was not established")
			}
			if now := s.nodes[s.leader()]; now == victim || now.View().Epoch != before {
				s.Errorf("%s leads; the view is %d, and was %d", now.ID(), now.View().Epoch, before)
			}
		}
		works[victim.ID()].broken.Store(false)
		time.Sleep(10 * time.Second)
		if err := victim.Ready(); err != nil || !slices.ContainsFunc(s.nodes[:], func(n *Node) bool { return n.Status().Established }) {
			s.Errorf("afterwards: %v", err)
		}
	})
}
