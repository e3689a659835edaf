package rpc

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

// errLost is an ErrUnavailable because of the way to a peer: the request may not have reached the peer, or its answer may be lost.
var errLost = fmt.Errorf("%w: the node cannot be reached", actors.ErrUnavailable)

// errClosed is the error that Peers return to their own node after Stop.
var errClosed = fmt.Errorf("%w: %w", actors.ErrUnavailable, actors.ErrClosing)

// refusal is a peer's error. It wraps the error that the peer's code stands for on this node, and has a text for people.
type refusal struct {
	addr, text string
	is         error
}

func (e *refusal) Error() string {
	return fmt.Sprintf("the node at %s: %s", e.addr, cmp.Or(e.text, e.is.Error()))
}

func (e *refusal) Unwrap() error { return e.is }

// failure returns the response for an error, or for nil. A node that is closing owns nothing: the caller asks the room's next
// owner, whatever became of the work.
func failure(err error, epoch uint64) *wire.Response {
	if err == nil {
		return &wire.Response{Code: wire.Code_CODE_OK}
	}
	resp := &wire.Response{Code: wire.Code_CODE_UNAVAILABLE, Text: []byte(err.Error())}
	var behind actors.NotOwner
	switch {
	case errors.As(err, &behind):
		resp.Code, resp.Epoch = wire.Code_CODE_NOT_OWNER, behind.Epoch
	case errors.Is(err, actors.ErrNotOwner), errors.Is(err, actors.ErrClosing):
		resp.Code, resp.Epoch = wire.Code_CODE_NOT_OWNER, epoch
	case errors.Is(err, actors.ErrExpired):
		resp.Code = wire.Code_CODE_EXPIRED
	case errors.Is(err, actors.ErrFenced):
		resp.Code = wire.Code_CODE_FENCED
	case errors.Is(err, actors.ErrBusy):
		resp.Code = wire.Code_CODE_BUSY
	}
	return resp
}

// errorOf returns the error that a peer's response stands for, or nil.
func errorOf(addr string, resp *wire.Response) error {
	if resp.GetCode() == wire.Code_CODE_OK {
		return nil
	}
	e := &refusal{addr: addr, text: string(resp.GetText())}
	switch resp.GetCode() {
	case wire.Code_CODE_NOT_OWNER:
		e.is = actors.NotOwner{Epoch: resp.GetEpoch()}
	case wire.Code_CODE_EXPIRED:
		e.is = actors.ErrExpired
	case wire.Code_CODE_FENCED:
		e.is = actors.ErrFenced
	case wire.Code_CODE_BUSY:
		e.is = actors.ErrBusy
	case wire.Code_CODE_UNREACHABLE:
		e.is = errLost
	case wire.Code_CODE_UNAVAILABLE, wire.Code_CODE_UNSUPPORTED:
		e.is = actors.ErrUnavailable
	default:
		e.is, e.text = actors.ErrUnavailable, fmt.Sprintf("an answer that this build does not know (%d): %s", resp.GetCode(), e.text)
	}
	return e
}
