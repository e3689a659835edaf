package remote

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// admit is the interceptor of the streams that peers open. What they send is sifted, and what crashes the library ends the
// stream, not the process.
func (r *Remote) admit(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.cfg.Log.Error("a message of another node crashed its link", "crash", p, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "the message crashed")
		}
	}()
	return handler(srv, &sieve{ServerStream: stream, addr: r.Addr(), complain: r.complain.about})
}

// refuseUnary refuses the calls that the library offers and panics at.
func refuseUnary(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
	return nil, status.Error(codes.Unimplemented, "nodes take streams only")
}

// sieve lets a peer's requests and answers through, and nothing else: the library would hand a peer's message to any
// process of the actor system, stop or watch it at its word, and forward what is for another address.
type sieve struct {
	grpc.ServerStream
	addr     string
	complain func(dropped int)
}

// RecvMsg implements grpc.ServerStream.
func (s *sieve) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return fmt.Errorf("receive from a node: %w", err)
	}
	if batch := m.(*remote.RemoteMessage).GetMessageBatch(); batch != nil {
		if dropped := sift(batch, s.addr); dropped > 0 {
			s.complain(dropped)
		}
	}
	return nil
}

// sift takes out of a batch what is not for the door or for its answers. It gives the number taken out.
func sift(b *remote.MessageBatch, addr string) (dropped int) {
	kept := b.Envelopes[:0]
	for _, e := range b.Envelopes {
		if !ours(b, e) {
			dropped++
			continue
		}
		e.MessageHeader, e.TargetRequestId, e.SenderRequestId = nil, 0, 0
		// By whatever name the peer knows this node, the message has arrived.
		b.Targets[e.GetTarget()].Address = addr
		kept = append(kept, e)
	}
	b.Envelopes = kept
	return dropped
}

func ours(b *remote.MessageBatch, e *remote.MessageEnvelope) bool {
	within := func(i int32, n int) bool { return i >= 0 && int(i) < n }
	if e.GetSerializerId() != remote.DefaultSerializerID || !within(e.GetTypeId(), len(b.TypeNames)) ||
		!within(e.GetTarget(), len(b.Targets)) || !within(e.GetSender(), len(b.Senders)+1) {
		return false
	}
	target := b.Targets[e.GetTarget()].GetId()
	switch b.TypeNames[e.GetTypeId()] {
	case requestName:
		if e.GetSender() == 0 {
			return false
		}
		sender := b.Senders[e.GetSender()-1]
		return target == doorName && sender.GetId() == answersName && sender.GetAddress() != ""
	case responseName:
		return target == answersName
	}
	return false
}

// complaints are logged once in a while: a peer that sends what it should not may send a lot.
type complaints struct {
	log func(dropped int)

	mu      sync.Mutex
	last    time.Time
	dropped int
}

const complainEvery = time.Minute

func (c *complaints) about(dropped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped += dropped
	if time.Since(c.last) < complainEvery {
		return
	}
	c.log(c.dropped)
	c.last, c.dropped = time.Now(), 0
}
