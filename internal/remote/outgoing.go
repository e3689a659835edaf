package remote

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/remote"

	"github.com/rollcallhq/rollcall/internal/wire"
)

// errLate keeps a request from being sent: nobody waits for it any more.
var errLate = errors.New("the request's time has passed")

// outgoing is a call in the queue of its peer. The library makes a message of it when its turn has come, so the time left
// is that of the sending, and what waited too long is not sent.
type outgoing struct{ call *call }

// Serialize implements remote.RootSerializable.
func (o *outgoing) Serialize() (remote.RootSerialized, error) {
	req, left := o.call.request.Load(), time.Until(o.call.deadline).Milliseconds()
	if req == nil || left <= 0 {
		return nil, errLate
	}
	return sealed{&wire.Request{Call: o.call.id, Epoch: req.GetEpoch(), DeadlineMs: uint64(left), Kind: req.Kind}}, nil
}

// sealed is the message itself; the receiver knows it as the Request that it is.
type sealed struct{ *wire.Request }

// Deserialize implements remote.RootSerialized, which is never asked for it on this side.
func (s sealed) Deserialize() (remote.RootSerializable, error) {
	return nil, errors.ErrUnsupported
}
