package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// several is the nodes of one cluster on loopback, by number from 1. Their data and addresses survive restarts.
type several struct {
	*testing.T
	configs map[int]Config
	nodes   map[int]*Node
}

// newSeveral prepares count nodes. The first expect nodes found a cluster together; the others join it later.
func newSeveral(t *testing.T, count, expect int, change ...func(i int, c *Config)) *several {
	s := &several{T: t, configs: map[int]Config{}, nodes: map[int]*Node{}}
	var addrs []string
	for range count {
		addrs = append(addrs, freeAddr(t))
	}
	for i := 1; i <= count; i++ {
		c := config(t.TempDir())
		c.NodeID, c.NodeAddr = fmt.Sprintf("n%d", i), addrs[i-1]
		c.Join, c.BootstrapExpect = addrs[:max(expect, 1)], expect
		if i > expect {
			c.BootstrapExpect = 1
		}
		if i == 1 && expect == 1 {
			c.Join = nil
		}
		if testing.Verbose() {
			c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
		}
		for _, f := range change {
			f(i, &c)
		}
		s.configs[i] = c
	}
	t.Cleanup(s.end)
	return s
}

// freeAddr returns a free address below the ports that the system assigns by itself.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+nextPort.Add(1)%20_000)
		if l, err := net.Listen("tcp4", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

var nextPort atomic.Int64

func init() { nextPort.Store(time.Now().UnixNano() / 1000 % 20_000) }

func (s *several) start(which ...int) {
	s.Helper()
	for _, i := range which {
		n, err := Open(s.Context(), s.configs[i])
		if err != nil {
			s.Fatalf("node %d: %v", i, err)
		}
		s.nodes[i] = n
	}
}

func (s *several) ready(which ...int) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	for _, i := range which {
		if err := s.nodes[i].WaitReady(ctx); err != nil {
			s.Fatalf("node %d: %v", i, err)
		}
	}
}

// stop closes nodes, which leave first.
func (s *several) stop(which ...int) {
	s.Helper()
	for _, i := range which {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := s.nodes[i].Close(ctx); err != nil {
			s.Errorf("stop node %d: %v", i, err)
		}
		cancel()
		delete(s.nodes, i)
	}
}

// crash ends nodes as a kill does: they do not leave, and their data stays as it is.
func (s *several) crash(which ...int) {
	s.Helper()
	for _, i := range which {
		n := s.nodes[i]
		n.stop()
		<-n.stopped
		_ = n.peers.close()
		_ = n.raft.Shutdown().Error()
		_ = n.endpoint.close()
		n.enlists.Wait()
		_ = n.store.close()
		delete(s.nodes, i)
	}
}

func (s *several) end() {
	for i := range s.nodes {
		s.crash(i)
	}
}

// view waits until all running nodes agree on one leader and on these members.
func (s *several) view(want ...string) {
	s.Helper()
	said := ""
	defer func() {
		if s.Failed() {
			s.Log(said)
		}
	}()
	eventually.True(s.T, fmt.Sprintf("all agree on the members %v", want), func() bool {
		said = ""
		leaders, ok := map[string]bool{}, true
		for _, n := range s.nodes {
			st := n.Status()
			var ids []string
			for _, m := range st.Members {
				ids = append(ids, m.ID)
			}
			said += fmt.Sprintf("%s: leader %q, members %v, ready %v\n", st.ID, st.Leader, ids, n.Ready())
			leaders[st.Leader] = true
			ok = ok && slices.Equal(ids, want) && st.Leader != ""
		}
		return ok && len(leaders) == 1
	})
}

// voters waits until these are the voters in the leader's configuration.
func (s *several) voters(want ...string) {
	s.Helper()
	var got []string
	eventually.True(s.T, fmt.Sprintf("the voters are %v", want), func() bool {
		got = nil
		for _, server := range s.leader().Status().Servers {
			if server.Voter {
				got = append(got, server.ID)
			}
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

// leader waits for an established leader and returns it.
func (s *several) leader() *Node {
	s.Helper()
	var leader *Node
	eventually.True(s.T, "there is a leader", func() bool {
		for _, n := range s.nodes {
			if n.Status().Established {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

func (s *several) number(n *Node) int {
	for i, one := range s.nodes {
		if one == n {
			return i
		}
	}
	return 0
}

// follower returns the number of some node that does not lead.
func (s *several) follower() int {
	s.Helper()
	leader := s.leader()
	for i := 1; i <= len(s.configs); i++ {
		if n := s.nodes[i]; n != nil && n != leader {
			return i
		}
	}
	s.Fatal("there is no follower")
	return 0
}

func TestThreeFoundACluster(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2)
	eventually.True(t, "it waits for the third", func() bool {
		return errText(s.nodes[2].Ready()) == "waiting for nodes: 2 of --bootstrap-expect 3 are here; ask "+s.configs[3].NodeAddr+
			": dial tcp "+s.configs[3].NodeAddr+": connect: connection refused"
	})
	s.start(3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	s.voters("n1", "n2", "n3")
	st := s.nodes[2].Status()
	seen := map[uint64]bool{}
	for _, m := range st.Members {
		seen[m.Incarnation] = true
	}
	if len(seen) != 3 || st.Generation != 41 {
		t.Errorf("%+v", st)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRestartOnTheSameAndOnAnotherAddress(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	for _, move := range []bool{false, true} {
		i := s.follower()
		before := s.nodes[i].Status().Incarnation
		s.stop(i)
		if move {
			c := s.configs[i]
			c.NodeAddr = freeAddr(t)
			s.configs[i] = c
		}
		s.start(i)
		s.ready(i)
		s.view("n1", "n2", "n3")
		if now := s.nodes[i].Status(); now.Incarnation <= before {
			t.Errorf("incarnation %d after %d", now.Incarnation, before)
		}
	}
	s.voters("n1", "n2", "n3")
}

func TestACrashedFollowerLeavesTheViewOnly(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	i := s.follower()
	s.crash(i)
	s.view(without(i, 3)...)
	s.voters("n1", "n2", "n3")
	s.start(i)
	s.ready(i)
	s.view("n1", "n2", "n3")
}

func TestACrashedLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	old := s.leader()
	token, i := old.Status().Token, s.number(old)
	s.crash(i)
	s.view(without(i, 3)...)
	if now := s.leader().Status().Token; now.Compare(token) <= 0 {
		t.Errorf("the new leader's token %v is not above %v", now, token)
	}
}

func TestAGracefulLeaveHandsOver(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	for range 3 {
		i := s.number(s.leader())
		s.stop(i)
		s.view(without(i, 3)...)
		s.start(i)
		s.ready(i)
		s.view("n1", "n2", "n3")
	}
}

func TestAllStopInOrder(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.stop(1, 2, 3) // the last one has no leader to ask, which is no failure
}

func TestSixNodesHaveFiveVoters(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 6, 1)
	s.start(1)
	s.ready(1)
	s.voters("n1")
	s.start(2)
	s.ready(2)
	s.view("n1", "n2")
	s.voters("n1") // two voters tolerate no failure, and neither does one
	s.start(3, 4, 5, 6)
	s.ready(3, 4, 5, 6)
	s.view("n1", "n2", "n3", "n4", "n5", "n6")
	eventually.True(t, "five voters", func() bool { return len(votersOf(s.leader())) == 5 })
	rooms := map[string]int{}
	for i := range 1000 {
		m, _ := fsm.Owner(s.leader().View(), fmt.Sprint(i))
		rooms[m.ID]++
	}
	if len(rooms) != 6 {
		t.Errorf("rooms by node: %v: each node owns some", rooms)
	}
}

func votersOf(n *Node) (ids []string) {
	for _, s := range n.Status().Servers {
		if s.Voter {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func TestGrowAndShrinkByHand(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 1)
	s.start(1)
	s.ready(1)
	s.start(2, 3)
	s.ready(2, 3)
	s.voters("n1", "n2", "n3")
	for _, i := range []int{3, 2} {
		id, failed := s.configs[i].NodeID, s.nodes[i].Failure()
		eventually.True(t, "the node is removed", func() bool {
			err := s.leader().Remove(t.Context(), id)
			if err != nil {
				t.Log(err)
			}
			return err == nil
		})
		select {
		case err := <-failed:
			if !errors.Is(err, ErrRemoved) {
				t.Errorf("the removed node says %v", err)
			}
		case <-time.After(patience):
			t.Fatal("the removed node goes on")
		}
		s.stop(i)
	}
	s.view("n1")
	s.voters("n1")
	if err := s.leader().Remove(t.Context(), "n9"); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("removing nobody: %v", err)
	}
	s.start(3) // with its old data: after a restart it joins again
	s.ready(3)
	s.view("n1", "n3")
}

func TestADeadNodeIsRemovedAndReplaced(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 4, 3, func(_ int, c *Config) { c.DeadAfter = 3 * time.Second })
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	i := s.follower()
	s.crash(i)
	s.start(4)
	s.ready(4)
	var want []string
	for _, k := range []int{1, 2, 3, 4} {
		if k != i {
			want = append(want, fmt.Sprintf("n%d", k))
		}
	}
	s.view(want...)
	s.voters(want...)
	s.start(i) // with its data, according to which it still votes
	s.ready(i)
	s.view("n1", "n2", "n3", "n4")
	s.voters(want...)
}

func TestNoRemovalBelowAQuorum(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3, func(_ int, c *Config) { c.DeadAfter = 2 * time.Second })
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.voters("n1", "n2", "n3")
	leader := s.leader()
	var others []int
	for i := 1; i <= 3; i++ {
		if s.nodes[i] != leader {
			others = append(others, i)
		}
	}
	s.crash(others[0])
	eventually.True(t, "the silence is noticed", func() bool { return len(leader.silentNodes()) == 1 })
	if err := leader.Remove(t.Context(), s.configs[others[1]].NodeID); !errors.Is(err, ErrQuorum) {
		t.Errorf("removing the last that answers: %v", err)
	}
}

// A node that comes back under its name without its data has forgotten its votes. It joins as a node that never voted.
func TestANodeWithoutItsDataJoinsAgain(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	i := s.follower()
	s.crash(i)
	c := s.configs[i]
	c.DataDir = t.TempDir()
	s.configs[i] = c
	s.start(i)
	if !s.nodes[i].endpoint.closed.Load() {
		t.Error("raft's messages reach a node before it was taken in")
	}
	s.ready(i)
	s.view("n1", "n2", "n3")
	s.voters("n1", "n2", "n3")
}

func TestAllDataLost(t *testing.T) {
	t.Parallel()
	var generation atomic.Uint64
	generation.Store(41)
	s := newSeveral(t, 3, 3, func(_ int, c *Config) {
		c.Generation = func(_ context.Context, ours uint64) (uint64, error) { return max(ours, generation.Load()), nil }
	})
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.crash(1, 2, 3)
	generation.Store(42)
	for i, c := range s.configs {
		c.DataDir = t.TempDir()
		s.configs[i] = c
	}
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	if g := s.leader().Status().Generation; g != 42 {
		t.Errorf("generation %d, want 42", g)
	}
}

func TestOutOfContactWithoutAMajority(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	last := s.number(s.leader())
	for i := 1; i <= 3; i++ {
		if i != last {
			s.crash(i)
		}
	}
	eventually.True(t, "the node that is left takes no work", func() bool {
		return errors.Is(s.nodes[last].InContact(), ErrOutOfContact) && s.nodes[last].Ready() != nil
	})
}

func without(i, of int) (ids []string) {
	for k := 1; k <= of; k++ {
		if k != i {
			ids = append(ids, fmt.Sprintf("n%d", k))
		}
	}
	return ids
}
