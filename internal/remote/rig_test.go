package remote_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// epoch is that of the nodes' views.
const epoch = 7

// node is a Remote in a process of its own (see process_test.go), as nodes are: so it can be killed and paused, and gRPC's
// global logger, which each Remote sets, is set once in a process.
type node struct {
	t    testing.TB
	addr string
	cmd  *exec.Cmd
	rpc  *rpc.Client
}

// open starts a node on loopback.
func open(t testing.TB, setups ...func(*Setup)) *node {
	t.Helper()
	s := Setup{Listen: "127.0.0.1:0", Epoch: epoch}
	for _, change := range setups {
		change(&s)
	}
	n := start(t)
	n.call("Open", s, &n.addr)
	return n
}

// start makes a node's process.
func start(t testing.TB) *node {
	t.Helper()
	n := &node{t: t, cmd: exec.Command(os.Args[0])}
	n.cmd.Env = append(os.Environ(), nodeVariable+"=1", "GORACE=atexit_sleep_ms=0")
	n.cmd.Stderr = os.Stderr
	in, err := n.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.rpc = rpc.NewClient(pipes{bufio.NewReader(out), in})
	t.Cleanup(n.end)
	return n
}

type pipes struct {
	io.Reader
	io.WriteCloser
}

// end stops the node, and fails where it does not end well, as with a race found.
func (n *node) end() {
	if n.cmd.ProcessState != nil {
		return
	}
	_ = n.rpc.Close() // the end of its input is the end of the node
	if err := n.cmd.Wait(); err != nil {
		n.t.Errorf("node %s: %v", n.addr, err)
	}
}

// kill ends the node as kill -9 does.
func (n *node) kill() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
	_ = n.rpc.Close()
}

// pause stops the node in its tracks, and returns once all of it stands.
func (n *node) pause() {
	n.t.Helper()
	n.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	for !status.Stopped() {
		if _, err := syscall.Wait4(n.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			n.t.Fatal(err)
		}
	}
}

func (n *node) resume() {
	n.t.Helper()
	n.signal(syscall.SIGCONT)
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
	if s == syscall.SIGSTOP {
		eventually(n.t, "the process stands still", n.stands)
	}
}

// stands tells whether every thread has stopped: the signal's sender does not wait for that.
func (n *node) stands() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		_, rest, ok := bytes.Cut(stat, []byte(") "))
		if err != nil || !ok || rest[0] != 'T' {
			return false
		}
	}
	return true
}

func (n *node) call(method string, args, reply any) {
	n.t.Helper()
	if err := n.rpc.Call("Node."+method, args, reply); err != nil {
		n.t.Fatalf("node %s: %s: %v", n.addr, method, err)
	}
}

// acts says what the node's host does from now on.
func (n *node) acts(b Behaviour) {
	n.t.Helper()
	n.call("Act", b, new(bool))
}

func (n *node) sees(epoch uint64) {
	n.t.Helper()
	n.call("See", epoch, new(bool))
}

// state is what the node knows of itself.
func (n *node) state() (s State) {
	n.t.Helper()
	n.call("State", true, &s)
	return s
}

func (n *node) saw(room string) bool {
	n.t.Helper()
	for _, e := range n.state().Came {
		if e.Room.Name == room {
			return true
		}
	}
	return false
}

// stop is Remote.Stop.
func (n *node) stop(patience time.Duration) error {
	n.t.Helper()
	var f Fault
	n.call("Stop", patience, &f)
	return f.err()
}

// way is the way of one node to another. It is an actors.Owner.
type way struct {
	from  *node
	addr  string
	epoch uint64
}

var _ actors.Owner = way{}

func (n *node) to(other *node) way { return way{n, other.addr, epoch} }

// send does a request. It may be called beside the test: what fails there is the request's error.
func (w way) send(ctx context.Context, req Request) (Reply, error) {
	req.Addr, req.Epoch = w.addr, w.epoch
	if deadline, ok := ctx.Deadline(); ok && req.Timeout == 0 {
		req.Timeout = time.Until(deadline)
	}
	var r Reply
	if err := w.from.rpc.Call("Node.Send", req, &r); err != nil {
		return r, err
	}
	return r, r.Fault.err()
}

func (w way) Deliver(ctx context.Context, e reconcile.Event) error {
	_, err := w.send(ctx, Request{Event: &e})
	return err
}

func (w way) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	r, err := w.send(ctx, Request{Batch: &b})
	return r.Findings, err
}

func (w way) Tend(ctx context.Context, t actors.Tending) (actors.Tended, error) {
	r, err := w.send(ctx, Request{Tending: &t})
	return r.Tended, err
}

func (w way) Names(ctx context.Context) ([]string, error) {
	r, err := w.send(ctx, Request{})
	return r.Names, err
}

// delivers sends an event and gives what came of it, once that is.
func (w way) delivers(room string, timeout time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := w.send(context.Background(), Request{Event: ptr(event(room)), Timeout: timeout})
		done <- err
	}()
	return done
}

func ptr[T any](v T) *T { return &v }

func event(room string) reconcile.Event {
	return reconcile.Event{ID: "EV_" + room, Kind: reconcile.Joined, Room: reconcile.RoomInfo{Name: room}}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Fault is an error on its way between processes.
type Fault struct {
	Text  string
	Kinds []int // of sentinels
	Epoch uint64
}

var sentinels = []error{actors.ErrNotOwner, actors.ErrExpired, actors.ErrFenced, actors.ErrBusy, actors.ErrUnavailable, actors.ErrClosing,
	context.Canceled, context.DeadlineExceeded}

func faultOf(err error) (f Fault) {
	if err == nil {
		return f
	}
	f.Text = err.Error()
	for i, s := range sentinels {
		if errors.Is(err, s) {
			f.Kinds = append(f.Kinds, i)
		}
	}
	var n actors.NotOwner
	if errors.As(err, &n) {
		f.Epoch = n.Epoch
	}
	return f
}

func (f Fault) err() error {
	if f.Text == "" {
		return nil
	}
	return f
}

func (f Fault) Error() string { return f.Text }

func (f Fault) Unwrap() (all []error) {
	for _, k := range f.Kinds {
		if sentinels[k] == actors.ErrNotOwner && f.Epoch != 0 {
			all = append(all, actors.NotOwner{Epoch: f.Epoch})
			continue
		}
		all = append(all, sentinels[k])
	}
	return all
}
