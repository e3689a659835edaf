package rpc_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/internal/wire"
)

// stranger speaks to a node with the generated types of rollcall.proto: as another build would, or worse.
type stranger struct {
	t    *testing.T
	conn *grpc.ClientConn
}

func newStranger(t *testing.T, w *world, to *node) *stranger {
	from := w.net.Host("stranger")
	conn, err := grpc.NewClient("passthrough:///"+to.place().Addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return from.Dial(ctx, addr) }))
	must(t, err)
	return &stranger{t, conn}
}

func (s *stranger) stream() grpc.ClientStream {
	s.t.Helper()
	stream, err := s.conn.NewStream(within(s.t, time.Minute), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/rollcall.v1.Nodes/Link")
	must(s.t, err)
	return stream
}

// asks sends a request and returns its answer.
func (s *stranger) asks(stream grpc.ClientStream, req *wire.Request) *wire.Response {
	s.t.Helper()
	must(s.t, stream.SendMsg(&wire.Requests{Requests: []*wire.Request{req}}))
	var answer wire.Responses
	must(s.t, stream.RecvMsg(&answer))
	if len(answer.GetResponses()) != 1 || answer.GetResponses()[0].GetCall() != req.GetCall() {
		s.t.Fatalf("%v is answered with %v", req, &answer)
	}
	return answer.GetResponses()[0]
}

// A message that a node does not know is an error, never a crash, and does not spoil other messages.
func TestUnknownMessagesAreErrors(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.start("a")
		s := newStranger(t, w, a)
		defer s.conn.Close()
		stream := s.stream()
		unknown := &wire.Request{Call: 1, Epoch: 1, DeadlineMs: 1000}
		unknown.ProtoReflect().SetUnknown([]byte{0xfa, 0x07, 1, 'x'}) // field 127: a kind of another build
		for what, req := range map[string]*wire.Request{
			"an unknown kind":          unknown,
			"no kind":                  {Call: 2, DeadlineMs: 1000},
			"nonsense for an event":    {Call: 7, DeadlineMs: 1000, Kind: &wire.Request_Deliver{Deliver: []byte{0x0a, 0xff}}},
			"a delivery without event": {Call: 3, DeadlineMs: 1000, Kind: &wire.Request_Deliver{}},
			"a relay of long work":     {Call: 4, DeadlineMs: 1000, Relay: true, Kind: &wire.Request_Names{Names: &wire.Names{}}},
		} {
			if resp := s.asks(stream, req); resp.GetCode() != wire.Code_CODE_UNSUPPORTED || len(resp.GetText()) == 0 {
				t.Errorf("%s: %v", what, resp)
			}
		}
		e, err := proto.Marshal(&wire.Event{Room: &wire.Room{Name: []byte("r")}})
		must(t, err)
		deliver := &wire.Request_Deliver{Deliver: e}
		if resp := s.asks(stream, &wire.Request{Call: 5, Kind: deliver}); resp.GetCode() != wire.Code_CODE_UNAVAILABLE || a.host.saw("r") != 0 {
			t.Errorf("without any time left: %v", resp)
		}
		if resp := s.asks(stream, &wire.Request{Call: 6, DeadlineMs: 1 << 62, Kind: deliver}); resp.GetCode() != wire.Code_CODE_OK || a.host.saw("r") != 1 {
			t.Errorf("with all the time: %v", resp)
		}
		if a.host.left > 5*time.Second {
			t.Errorf("it may take %v", a.host.left)
		}
	})
}

// raw is a message that is sent as it is.
type raw []byte

type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return v.(raw), nil }

func (rawCodec) Unmarshal([]byte, any) error { return nil }

func (rawCodec) Name() string { return "proto" }

// A stream of nonsense ends; the node goes on.
func TestNonsenseEndsItsStream(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		s := newStranger(t, w, a)
		defer s.conn.Close()
		stream, err := s.conn.NewStream(within(t, time.Minute), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/rollcall.v1.Nodes/Link",
			grpc.ForceCodec(rawCodec{}))
		must(t, err)
		must(t, stream.SendMsg(raw("\x0a\xff\xff\xff")))
		if err := stream.RecvMsg(&raw{}); err == nil || err == io.EOF {
			t.Errorf("nonsense is answered: %v", err)
		}
		err = s.conn.Invoke(within(t, time.Minute), "/remote.Remoting/ListProcesses", &wire.Names{}, &wire.Names{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("an unknown method: %v", err)
		}
		conn, err := w.net.Host("another").Dial(t.Context(), a.place().Addr)
		must(t, err)
		_, _ = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		_ = conn.Close()
		must(t, b.to(a).Deliver(within(t, 5*time.Second), event("after")))
	})
}

// An answer that this build does not know is an error, and so is a success without a result.
func TestUnknownAnswersAreErrors(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.start("a", once)
		listener, err := w.net.Host("odd").Listen(t.Context(), "odd:7000")
		must(t, err)
		odd := grpc.NewServer()
		odd.RegisterService(&grpc.ServiceDesc{ServiceName: "rollcall.v1.Nodes", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
			StreamName: "Link", ServerStreams: true, ClientStreams: true, Handler: answersOddly}}}, new(any))
		go func() { _ = odd.Serve(listener) }()
		defer odd.Stop()
		place := w.members()[0]
		place.Node, place.Addr = "odd", "odd:7000"
		isUnavailable(t, "an unknown code", a.peers.Peer(place).Deliver(within(t, 5*time.Second), event("r")))
		_, err = a.peers.Peer(place).Names(within(t, 5*time.Second))
		isUnavailable(t, "a success without a result", err)
	})
}

func answersOddly(_ any, stream grpc.ServerStream) error {
	for {
		var in wire.Requests
		if stream.RecvMsg(&in) != nil {
			return nil
		}
		out := &wire.Responses{Pong: in.GetPing()}
		for _, r := range in.GetRequests() {
			code := wire.Code(99)
			if r.GetNames() != nil {
				code = wire.Code_CODE_OK
			}
			// Also answer a call that does not exist.
			out.Responses = append(out.Responses, &wire.Response{Call: 1 << 50, Code: code}, &wire.Response{Call: r.GetCall(), Code: code, Text: []byte("?")})
		}
		if err := stream.SendMsg(out); err != nil {
			return err
		}
	}
}
