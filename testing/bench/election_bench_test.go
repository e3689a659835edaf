package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// raftNodeEnv holds the configuration of a process that is only a raft node.
const raftNodeEnv = "ROLLCALL_BENCH_RAFT_NODE"

// raftNode is the configuration in raftNodeEnv.
type raftNode struct {
	ID, Dir, Addr string
	Join          []string
	Timings       cluster.Timings
}

// runRaftNode prints "leads" and a time (Unix ns) whenever the task of a term that it leads begins, until its stdin ends.
func runRaftNode() error {
	var c raftNode
	if err := json.Unmarshal([]byte(os.Getenv(raftNodeEnv)), &c); err != nil {
		return err
	}
	lead := cluster.Task{Name: "lead", Every: time.Hour, AtOnce: true, Run: func(context.Context, cluster.Term) error {
		_, err := fmt.Println("leads", time.Now().UnixNano())
		return err
	}}
	n, err := cluster.Open(context.Background(), cluster.Config{NodeID: c.ID, DataDir: c.Dir, NodeAddr: c.Addr, Join: c.Join,
		BootstrapExpect: len(c.Join), Timings: c.Timings, Tasks: []cluster.Task{lead}, Logger: slog.New(slog.DiscardHandler),
		Generation: func(_ context.Context, ours uint64) (uint64, error) { return max(ours, 1), nil }})
	if err != nil {
		return err
	}
	if err := n.WaitReady(context.Background()); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin) // this process ends with its parent
	return err
}

// BenchmarkElection reports the time from a kill -9 of the leader of three to the first work of its successor, with our timings
// and with the defaults of hashicorp/raft. Nothing else runs in these processes.
func BenchmarkElection(b *testing.B) {
	for name, timings := range map[string]cluster.Timings{
		"ours":     {},
		"defaults": {Heartbeat: time.Second, Election: time.Second, Lease: 500 * time.Millisecond, Commit: 50 * time.Millisecond},
	} {
		b.Run(name, func(b *testing.B) {
			t := newTrio(b, timings)
			var took []time.Duration
			for b.Loop() {
				took = append(took, t.replaceLeader())
			}
			percentiles(b, "elected", took)
		})
	}
}

// trio is three raft nodes.
type trio struct {
	b      *testing.B
	nodes  map[string]raftNode
	procs  map[string]*proc.Process
	leads  chan lead
	ready  chan string
	leader string
}

// lead is a node's message that it began to lead.
type lead struct {
	id string
	at time.Time
}

func newTrio(b *testing.B, timings cluster.Timings) *trio {
	b.Helper()
	t := &trio{b: b, nodes: map[string]raftNode{}, procs: map[string]*proc.Process{}, leads: make(chan lead, 100), ready: make(chan string, 100)}
	addrs := freeaddr.ForTest(b, 3)
	for i, addr := range addrs {
		id := fmt.Sprintf("n%d", i+1)
		t.nodes[id] = raftNode{ID: id, Dir: b.TempDir(), Addr: addr, Join: addrs, Timings: timings}
		t.start(id)
	}
	for range t.nodes {
		t.awaitReady()
	}
	t.leader = t.awaitLead().id
	return t
}

func (t *trio) start(id string) {
	t.b.Helper()
	conf, err := json.Marshal(t.nodes[id])
	if err != nil {
		t.b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), raftNodeEnv+"="+string(conf))
	cmd.Stderr = os.Stderr
	out, in, err := os.Pipe()
	if err != nil {
		t.b.Fatal(err)
	}
	cmd.Stdout = in
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.b.Fatal(err)
	}
	p, err := proc.Start(cmd)
	_ = in.Close()
	if err != nil {
		t.b.Fatal(err)
	}
	t.procs[id] = p
	t.b.Cleanup(func() {
		_ = stdin.Close()
		p.Kill()
	})
	go t.listen(id, out)
}

// listen reads a node's messages until the node ends.
func (t *trio) listen(id string, out io.ReadCloser) {
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "ready" {
			t.ready <- id
		}
		if ns, ok := strings.CutPrefix(lines.Text(), "leads "); ok {
			at, _ := strconv.ParseInt(ns, 10, 64)
			t.leads <- lead{id, time.Unix(0, at)}
		}
	}
}

func (t *trio) awaitReady() {
	t.b.Helper()
	select {
	case <-t.ready:
	case <-time.After(30 * time.Second):
		t.b.Fatal("a node is not ready after 30 s")
	}
}

func (t *trio) awaitLead() lead {
	t.b.Helper()
	select {
	case l := <-t.leads:
		return l
	case <-time.After(30 * time.Second):
		t.b.Fatal("nobody leads after 30 s")
		return lead{}
	}
}

// replaceLeader kills the leader, waits for the next one, and restarts the old one.
func (t *trio) replaceLeader() time.Duration {
	t.b.Helper()
	killed := t.leader
	begun := time.Now()
	t.procs[killed].Kill()
	next := t.awaitLead()
	t.leader = next.id
	t.start(killed)
	t.awaitReady()
	return next.at.Sub(begun)
}
