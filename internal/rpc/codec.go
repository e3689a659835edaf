package rpc

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/internal/wire"
	"github.com/rollcallhq/rollcall/reconcile"
)

// codec writes and reads the batches of a stream. The bytes are those of rollcall.proto; what is frequent, events and bare
// successes, is written and read without the generated types, which costs a third.
type codec struct{}

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(interface {
		size() int
		append(b []byte) []byte
	})
	if !ok {
		return nil, fmt.Errorf("%T is no batch", v)
	}
	pool := mem.DefaultBufferPool()
	buf := pool.Get(m.size())
	*buf = m.append((*buf)[:0])
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

// Unmarshal implements encoding.CodecV2. What it makes keeps nothing of data.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(interface{ parse(b []byte) error })
	if !ok {
		return fmt.Errorf("%T is no batch", v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return m.parse(buf.ReadOnlyData())
}

// requestsOut is a wire.Requests to be sent. The time left to each request is that at its sending.
type requestsOut struct {
	calls     []*call
	now       time.Time
	cancelled []uint64
	ping      uint64
}

func (r *requestsOut) empty() bool { return len(r.calls) == 0 && len(r.cancelled) == 0 && r.ping == 0 }

// perMessage is more than what surrounds the bytes of a request or an answer in its batch.
const perMessage = 40

func (r *requestsOut) size() int {
	n := perMessage + 11*len(r.cancelled)
	for _, c := range r.calls {
		n += perMessage + len(c.body)
	}
	return n
}

func (r *requestsOut) append(b []byte) []byte {
	for _, c := range r.calls {
		left := uint64(c.deadline.Sub(r.now).Milliseconds())
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(2+protowire.SizeVarint(c.id)+protowire.SizeVarint(left)+len(c.body)))
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), c.id)
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), left)
		b = append(b, c.body...)
	}
	for _, id := range r.cancelled {
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), id)
	}
	if r.ping != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), r.ping)
	}
	return b
}

// eventBody is a wire.Request that delivers an event, but for the call and the time left.
func eventBody(epoch uint64, e *reconcile.Event) []byte {
	event := wire.AppendEvent(make([]byte, 0, 320+len(e.Room.Metadata)+len(e.Participant.Metadata)), e)
	b := make([]byte, 0, len(event)+2*perMessage)
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), epoch)
	b = protowire.AppendTag(b, 10, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(event))))
	return protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), event)
}

// workBody is the same of any other request.
func workBody(req *wire.Request) ([]byte, error) { return proto.Marshal(req) }

// relayed is a request that the receiver is to pass on.
func relayed(body []byte) []byte {
	b := append(make([]byte, 0, len(body)+2), body...)
	return protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), 1)
}

// requestsIn is a wire.Requests that has come.
type requestsIn struct {
	requests  []*request
	cancelled []uint64
	ping      uint64
}

// request is one that has come.
type request struct {
	call, epoch uint64
	left        time.Duration
	relay       bool
	event       *reconcile.Event // nil for long work
	work        *wire.Request    // of a kind that this build may not know
	err         error            // why it cannot be read
}

func (r *requestsIn) parse(b []byte) error {
	return wire.Fields(b, func(tag, number uint64, bytes []byte) error {
		switch tag {
		case 1<<3 | wire.Bytes:
			r.requests = append(r.requests, parseRequest(bytes))
		case 2<<3 | wire.Varint:
			r.cancelled = append(r.cancelled, number)
		case 3<<3 | wire.Varint:
			r.ping = number
		}
		return nil
	})
}

var errNoEvent = errors.New("a delivery without an event")

// parseRequest reads a request. One that cannot be read spoils nothing but itself.
func parseRequest(b []byte) *request {
	r := &request{}
	err := wire.Fields(b, func(tag, number uint64, bytes []byte) (err error) {
		switch tag {
		case 1<<3 | wire.Varint:
			r.call = number
		case 2<<3 | wire.Varint:
			r.epoch = number
		case 3<<3 | wire.Varint:
			r.left = time.Duration(min(number, uint64(workTimeout.Milliseconds()))) * time.Millisecond
		case 4<<3 | wire.Varint:
			r.relay = protowire.DecodeBool(number)
		case 10<<3 | wire.Bytes:
			r.event, err = parseDelivery(bytes)
		default:
			if r.work == nil {
				r.work = &wire.Request{}
				err = proto.Unmarshal(b, r.work)
			}
		}
		return err
	})
	r.err = err
	return r
}

func parseDelivery(b []byte) (event *reconcile.Event, err error) {
	err = wire.Fields(b, func(tag, _ uint64, bytes []byte) error {
		if tag != 1<<3|wire.Bytes {
			return nil
		}
		e, err := wire.ParseEvent(bytes)
		event = &e
		return err
	})
	if event == nil && err == nil {
		err = errNoEvent
	}
	return event, err
}

// answer waits to be sent. Until then its request counts as under way.
type answer struct {
	call uint64
	body []byte // the wire.Response but for the call; nil for a bare success
	gate *gate  // nil for a request that was not let in
}

// answerTo encodes a response.
func answerTo(call uint64, resp *wire.Response, limit int) answer {
	if resp.GetCode() == wire.Code_CODE_OK && resp.GetResult() == nil {
		return answer{call: call}
	}
	body, err := proto.Marshal(resp)
	if err == nil && len(body) > limit {
		err = errors.New(tooLarge("an answer", len(body), limit))
	}
	if err != nil {
		body, _ = proto.Marshal(&wire.Response{Code: wire.Code_CODE_UNAVAILABLE, Text: []byte(err.Error())})
	}
	return answer{call: call, body: body}
}

// responsesOut is a wire.Responses to be sent.
type responsesOut struct {
	answers []answer
	pong    uint64
	working []uint64
}

func (r *responsesOut) size() int {
	n := perMessage + 11*len(r.working)
	for _, a := range r.answers {
		n += perMessage + len(a.body)
	}
	return n
}

func (r *responsesOut) append(b []byte) []byte {
	for _, a := range r.answers {
		body := a.body
		if body == nil {
			body = []byte{2 << 3, byte(wire.Code_CODE_OK)}
		}
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(1+protowire.SizeVarint(a.call)+len(body)))
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), a.call)
		b = append(b, body...)
	}
	if r.pong != 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), r.pong)
	}
	for _, call := range r.working {
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), call)
	}
	return b
}

// responsesIn is a wire.Responses that has come.
type responsesIn struct {
	responses []response
	pong      uint64
	working   []uint64
}

// response is an answer that has come; a nil one is a bare success.
type response struct {
	call uint64
	*wire.Response
}

func (r *responsesIn) parse(b []byte) error {
	return wire.Fields(b, func(tag, number uint64, bytes []byte) error {
		switch tag {
		case 1<<3 | wire.Bytes:
			one, err := parseResponse(bytes)
			r.responses = append(r.responses, one)
			return err
		case 2<<3 | wire.Varint:
			r.pong = number
		case 3<<3 | wire.Varint:
			r.working = append(r.working, number)
		}
		return nil
	})
}

func parseResponse(b []byte) (r response, err error) {
	bare := true
	err = wire.Fields(b, func(tag, number uint64, _ []byte) error {
		if tag == 1<<3|wire.Varint {
			r.call = number
		} else if tag != 2<<3|wire.Varint || number != uint64(wire.Code_CODE_OK) {
			bare = false
		}
		return nil
	})
	if err == nil && !bare {
		r.Response = &wire.Response{}
		err = proto.Unmarshal(b, r.Response)
	}
	return r, err
}
