package remote

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/internal/wire"
)

var (
	// errEnded is a stream that has ended in good order, at which the library would leave its connection open.
	errEnded = errors.New("the peer has ended the link")
	// errWelcome is a peer that does not answer as one.
	errWelcome = errors.New("the peer does not speak the nodes' protocol")
)

// link is a stream to a peer as the library sees it. The library asks it for a welcome first, then tells all that the peer
// is connected, then listens for its end and passes that on.
type link struct {
	links  *links
	addr   string
	ctx    context.Context // the stream's; a link lives as long as its stream
	cancel context.CancelFunc
	told   chan struct{} // closed once the library has told that the peer is connected
	once   sync.Once
	over   chan struct{} // closed when the stream has ended

	welcomed bool // of the one goroutine that receives

	mu     sync.Mutex // nobody may send and close at once
	stream grpc.ClientStream
	failed error // why the stream cannot be used
}

// state gives the stream, or why it cannot be used.
func (k *link) state() (grpc.ClientStream, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stream, k.failed
}

func (k *link) become(stream grpc.ClientStream, failed error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stream, k.failed = stream, failed
}

func (k *link) tell() { k.once.Do(func() { close(k.told) }) }

// RecvMsg implements grpc.ClientStream.
func (k *link) RecvMsg(m any) error {
	if !k.welcomed {
		k.welcomed = true
		k.welcome(m.(*remote.RemoteMessage))
		return nil
	}
	defer close(k.over)
	defer k.cancel()
	defer k.links.remove(k)
	// An end that comes before the library has told of the beginning would be taken for an older link's, and a new link
	// be made that nobody asked for.
	select {
	case <-k.told:
	case <-time.After(dialTimeout):
	}
	stream, err := k.state()
	if err != nil {
		return err
	}
	err = stream.RecvMsg(m)
	if err == nil || errors.Is(err, io.EOF) {
		err = errEnded // peers send nothing this way but that they go
	}
	k.links.fail(k.addr, err)
	return err
}

// welcome waits for the peer's, and makes one up where none comes: see links.open.
func (k *link) welcome(m *remote.RemoteMessage) {
	stream, err := k.state()
	if err == nil {
		limit := time.AfterFunc(dialTimeout, k.cancel)
		err = stream.RecvMsg(m)
		limit.Stop()
		if err == nil && m.GetConnectResponse() == nil {
			err = errWelcome
		}
	}
	if err == nil {
		k.links.reached(k.addr)
		return
	}
	k.become(stream, err)
	k.links.fail(k.addr, err)
	m.MessageType = &remote.RemoteMessage_ConnectResponse{ConnectResponse: &remote.ConnectResponse{}}
}

// SendMsg implements grpc.ClientStream. A batch goes in messages that the peer accepts.
func (k *link) SendMsg(m any) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	batch := m.(*remote.RemoteMessage).GetMessageBatch()
	if batch == nil {
		if k.failed == nil {
			k.failed = k.stream.SendMsg(m)
		}
		return nil
	}
	if k.failed != nil {
		return k.failed
	}
	for part := range split(batch) {
		if err := k.stream.SendMsg(part); err != nil {
			return err
		}
	}
	k.links.outbox.sent(k.addr, responses(batch))
	return nil
}

// split yields a batch in parts of about a MB, or of one message.
func split(b *remote.MessageBatch) func(yield func(*remote.RemoteMessage) bool) {
	return func(yield func(*remote.RemoteMessage) bool) {
		for rest := b.Envelopes; len(rest) > 0; {
			n, size := 1, len(rest[0].GetMessageData())
			for n < len(rest) && size+len(rest[n].GetMessageData()) < framing {
				size += len(rest[n].GetMessageData())
				n++
			}
			part := &remote.MessageBatch{TypeNames: b.TypeNames, Targets: b.Targets, Senders: b.Senders, Envelopes: rest[:n]}
			if !yield(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: part}}) {
				return
			}
			rest = rest[n:]
		}
	}
}

// responses counts the answers of a batch.
func responses(b *remote.MessageBatch) int {
	n := 0
	for _, e := range b.Envelopes {
		if b.TypeNames[e.GetTypeId()] == responseName {
			n++
		}
	}
	return n
}

var (
	requestName  = string(proto.MessageName((*wire.Request)(nil)))
	responseName = string(proto.MessageName((*wire.Response)(nil)))
)

// finish says that no more is sent; the peer ends the stream when it has read what was. One that is stuck in sending is cut.
func (k *link) finish() {
	if !k.mu.TryLock() {
		k.cancel()
		return
	}
	defer k.mu.Unlock()
	if k.stream != nil && k.failed == nil {
		_ = k.stream.CloseSend()
	}
}

// CloseSend implements grpc.ClientStream: the library has done with the link.
func (k *link) CloseSend() error {
	k.finish()
	k.cancel()
	return nil
}

// Context implements grpc.ClientStream.
func (k *link) Context() context.Context { return k.ctx }

// Header implements grpc.ClientStream.
func (k *link) Header() (metadata.MD, error) {
	stream, err := k.state()
	if err != nil {
		return nil, err
	}
	return stream.Header()
}

// Trailer implements grpc.ClientStream.
func (k *link) Trailer() metadata.MD {
	stream, err := k.state()
	if err != nil {
		return nil
	}
	return stream.Trailer()
}
