package remote_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	library "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

// stranger speaks the library's protocol by hand: a peer of another build, or one that means ill.
type stranger struct {
	library.UnimplementedRemotingServer
	t      testing.TB
	addr   string
	conn   *grpc.ClientConn
	stream library.Remoting_ReceiveClient

	mu   sync.Mutex
	came []proto.Message
	told func(*wire.Request)
}

// meet makes a stranger that has introduced itself to the node.
func meet(t testing.TB, n *node) *stranger {
	t.Helper()
	s := &stranger{t: t}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.addr = l.Addr().String()
	server := grpc.NewServer()
	library.RegisterRemotingServer(server, s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	s.conn, err = grpc.NewClient("passthrough:///"+n.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s.stream, err = library.NewRemotingClient(s.conn).Receive(ctx)
	s.must(err)
	t.Cleanup(func() {
		cancel()
		_ = s.conn.Close()
		server.Stop()
		<-served
	})
	s.must(s.stream.Send(&library.RemoteMessage{MessageType: &library.RemoteMessage_ConnectRequest{ConnectRequest: &library.ConnectRequest{
		ConnectionType: &library.ConnectRequest_ServerConnection{ServerConnection: &library.ServerConnection{SystemId: "s", Address: s.addr}}}}}))
	_, err = s.stream.Recv()
	s.must(err)
	return s
}

func (s *stranger) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Receive implements the library's service: what the node sends here.
func (s *stranger) Receive(stream library.Remoting_ReceiveServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetConnectRequest() != nil {
			if err := stream.Send(&library.RemoteMessage{MessageType: &library.RemoteMessage_ConnectResponse{
				ConnectResponse: &library.ConnectResponse{}}}); err != nil {
				return err
			}
		}
		b := m.GetMessageBatch()
		for _, e := range b.GetEnvelopes() {
			got, err := library.Deserialize(e.GetMessageData(), b.TypeNames[e.GetTypeId()], 0)
			if err != nil {
				return err
			}
			s.take(got.(proto.Message))
		}
	}
}

func (s *stranger) take(m proto.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came = append(s.came, m)
	if req, ok := m.(*wire.Request); ok && s.told != nil {
		s.told(req)
	}
}

// answer is what the node answered to a call.
func (s *stranger) answer(call uint64) *wire.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.came {
		if r, ok := m.(*wire.Response); ok && r.GetCall() == call {
			return r
		}
	}
	return nil
}

func (s *stranger) batch(b *library.MessageBatch) {
	s.t.Helper()
	s.must(s.stream.Send(&library.RemoteMessage{MessageType: &library.RemoteMessage_MessageBatch{MessageBatch: b}}))
}

// sends a message to a process of the node.
func (s *stranger) sends(to *actor.PID, m proto.Message) {
	s.t.Helper()
	data, err := proto.Marshal(m)
	s.must(err)
	s.raw(to, string(proto.MessageName(m)), data)
}

func (s *stranger) raw(to *actor.PID, name string, data []byte) {
	s.t.Helper()
	s.batch(&library.MessageBatch{TypeNames: []string{name}, Targets: []*actor.PID{to}, Senders: []*actor.PID{s.pid()},
		Envelopes: []*library.MessageEnvelope{{MessageData: data, Sender: 1}}})
}

func (s *stranger) pid() *actor.PID { return actor.NewPID(s.addr, "answers") }

// asks the door for the delivery of an event, with time enough, and gives the answer.
func (s *stranger) asks(n *node, call uint64, room string) *wire.Response {
	s.t.Helper()
	s.sends(actor.NewPID(n.addr, "door"), &wire.Request{Call: call, Epoch: epoch, DeadlineMs: 10_000,
		Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: wire.NewEvent(event(room))}}})
	return s.awaits(call)
}

func (s *stranger) awaits(call uint64) *wire.Response {
	s.t.Helper()
	eventually(s.t, "the answer has come", func() bool { return s.answer(call) != nil })
	return s.answer(call)
}

// processes are what a node's actor system holds.
var processes = []string{"door", "answers", "activator", "EndpointSupervisor", "eventstream", "deadletter", "$1", "$2", "door/$1"}

// A node neither dies of what a peer sends nor does as it says; the link goes on.
func TestWhatIsNoneOfAPeersBusinessIsDropped(t *testing.T) {
	t.Parallel()
	a, n := open(t), open(t)
	s := meet(t, n)
	for _, id := range processes {
		to := actor.NewPID(n.addr, id)
		s.raw(to, "unknown.Type", []byte("\x08\x01"))
		s.raw(to, "", nil)
		for _, m := range []proto.Message{&actor.PoisonPill{}, &actor.Watch{Watcher: s.pid()}, &actor.Unwatch{Watcher: s.pid()},
			&actor.Terminated{Who: to}, &actor.Touch{}, &library.ActorPidRequest{Name: "x", Kind: "none"}} {
			s.sends(to, m)
		}
		s.raw(to, "actor.Stop", nil)
		if id != "door" {
			s.sends(to, &wire.Request{Call: 99, DeadlineMs: 10_000, Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: wire.NewEvent(event("elsewhere"))}}})
		}
	}
	if resp := s.asks(n, 1, "over the same link"); resp.GetCode() != wire.Code_CODE_OK {
		t.Errorf("the door answers %v", resp)
	}
	if err := a.to(n).Deliver(within(t, 5*time.Second), event("of another")); err != nil {
		t.Error(err)
	}
	if n.saw("elsewhere") {
		t.Error("a request that was not for the door came through it")
	}
	s.mu.Lock()
	if len(s.came) != 1 {
		t.Errorf("the peer was told %v", s.came)
	}
	s.mu.Unlock()
	complaints := 0
	for _, line := range n.state().Log {
		if strings.Contains(line, "none of its business") {
			complaints++
		}
	}
	if complaints != 1 {
		t.Errorf("the log has it %d times", complaints)
	}
}

func TestMalformedBatchesAreDropped(t *testing.T) {
	t.Parallel()
	n := open(t)
	s := meet(t, n)
	door := []*actor.PID{actor.NewPID(n.addr, "door")}
	data, err := proto.Marshal(&wire.Request{Call: 5, DeadlineMs: 10_000, Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: wire.NewEvent(event("bad"))}}})
	s.must(err)
	names := []string{"rollcall.v1.Request"}
	for _, e := range []*library.MessageEnvelope{
		{TypeId: 1, Sender: 1}, {TypeId: -1, Sender: 1}, {Target: 1, Sender: 1}, {Target: -1, Sender: 1}, {Sender: 2}, {Sender: -1}, {Sender: 0},
		{Sender: 1, SerializerId: 1}, {Sender: 1, SerializerId: 7}, {Sender: 1, SerializerId: -1},
	} {
		e.MessageData = data
		s.batch(&library.MessageBatch{TypeNames: names, Targets: door, Senders: []*actor.PID{s.pid()}, Envelopes: []*library.MessageEnvelope{e}})
	}
	s.batch(&library.MessageBatch{TypeNames: names, Targets: door, Senders: []*actor.PID{actor.NewPID(n.addr, "activator"), actor.NewPID("", "answers")},
		Envelopes: []*library.MessageEnvelope{{MessageData: data, Sender: 1}, {MessageData: data, Sender: 2}}})
	s.batch(&library.MessageBatch{})
	s.must(s.stream.Send(&library.RemoteMessage{}))
	if resp := s.asks(n, 1, "good"); resp.GetCode() != wire.Code_CODE_OK {
		t.Errorf("the door answers %v", resp)
	}
	if n.saw("bad") {
		t.Error("a malformed request was served")
	}
}

// The library would forward what is for another address.
func TestNodeIsNoRelay(t *testing.T) {
	t.Parallel()
	n := open(t)
	s, victim := meet(t, n), meet(t, n)
	for _, id := range processes {
		s.sends(actor.NewPID(victim.addr, id), &wire.Response{Call: 3})
		s.sends(actor.NewPID(victim.addr, id), &actor.PoisonPill{})
	}
	s.sends(actor.NewPID(victim.addr, "door"), &wire.Request{Call: 4, DeadlineMs: 10_000, Kind: &wire.Request_Names{}})
	s.awaits(4)
	if resp := victim.asks(n, 5, "r"); resp.GetCode() != wire.Code_CODE_OK {
		t.Errorf("the door answers %v", resp)
	}
	victim.mu.Lock()
	defer victim.mu.Unlock()
	if len(victim.came) != 1 {
		t.Errorf("the node forwarded %v", victim.came)
	}
}

func TestUnaryCallsAreRefused(t *testing.T) {
	t.Parallel()
	n := open(t)
	s := meet(t, n)
	c := library.NewRemotingClient(s.conn)
	_, list := c.ListProcesses(within(t, 5*time.Second), &library.ListProcessesRequest{})
	_, diagnose := c.GetProcessDiagnostics(within(t, 5*time.Second), &library.GetProcessDiagnosticsRequest{})
	if status.Code(list) != codes.Unimplemented || status.Code(diagnose) != codes.Unimplemented {
		t.Errorf("%v, %v", list, diagnose)
	}
	if resp := s.asks(n, 1, "r"); resp.GetCode() != wire.Code_CODE_OK {
		t.Errorf("the door answers %v", resp)
	}
}

func TestUnknownRequestIsAnError(t *testing.T) {
	t.Parallel()
	n := open(t)
	s := meet(t, n)
	door := actor.NewPID(n.addr, "door")
	s.raw(door, "rollcall.v1.Request", []byte{8, 1, 24, 100, 0xfa, 1, 0}) // call 1, 100 ms, kind 31
	s.sends(door, &wire.Request{Call: 2, DeadlineMs: 100})
	s.sends(door, &wire.Request{Call: 3, DeadlineMs: 100, Kind: &wire.Request_Deliver{}})
	for call := range uint64(3) {
		if resp := s.awaits(call + 1); resp.GetCode() != wire.Code_CODE_UNSUPPORTED {
			t.Errorf("the door answers %v", resp)
		}
	}
	if came := n.state().Came; len(came) != 0 {
		t.Errorf("the host was asked: %v", came)
	}
}

func TestRequestWithoutTimeLeftIsNotServed(t *testing.T) {
	t.Parallel()
	n := open(t)
	s := meet(t, n)
	s.sends(actor.NewPID(n.addr, "door"), &wire.Request{Call: 1, Kind: &wire.Request_Deliver{Deliver: &wire.Deliver{Event: wire.NewEvent(event("late"))}}})
	if resp := s.awaits(1); resp.GetCode() != wire.Code_CODE_UNAVAILABLE || n.saw("late") {
		t.Errorf("the door answers %v", resp)
	}
}

// An answer of a newer build, or of none that is known, is an error.
func TestUnknownAnswersAreErrors(t *testing.T) {
	t.Parallel()
	n := open(t)
	s := meet(t, n)
	to := way{n, s.addr, epoch}
	for _, c := range []struct {
		resp *wire.Response
		want string
	}{
		{&wire.Response{Code: 99, Text: []byte("new")}, "does not know (99): new"},
		{&wire.Response{}, "does not know (0)"},
		{&wire.Response{Code: wire.Code_CODE_OK}, "without a result"},
		{&wire.Response{Code: wire.Code_CODE_UNSUPPORTED, Text: []byte("never heard of it")}, "never heard of it"},
	} {
		s.mu.Lock()
		s.told = func(req *wire.Request) {
			late := &wire.Response{Call: req.GetCall() + 1000, Code: wire.Code_CODE_OK}
			s.sends(actor.NewPID(n.addr, "answers"), late) // for nobody
			c.resp.Call = req.GetCall()
			s.sends(actor.NewPID(n.addr, "answers"), c.resp)
			s.sends(actor.NewPID(n.addr, "answers"), c.resp) // again
		}
		s.mu.Unlock()
		_, err := to.Names(within(t, 5*time.Second))
		if !errors.Is(err, actors.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v comes as %v", c.resp, err)
		}
	}
}
