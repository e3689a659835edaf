package livekit

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/twitchtv/twirp"

	"github.com/rollcallhq/rollcall/reconcile"
)

// ErrLimited means that LiveKit refused a request because there are too many. The client slows down by itself.
var ErrLimited = errors.New("LiveKit's request limit is reached")

// Outcome is how a request ended, one of few words, for metrics.
type Outcome string

// The outcomes. Unavailable comes from LiveKit itself, or from a proxy that cannot reach it.
const (
	OK          Outcome = "ok"
	Limited     Outcome = "limited"
	Refused     Outcome = "refused"
	TimedOut    Outcome = "timeout"
	Canceled    Outcome = "canceled"
	Unavailable Outcome = "unavailable"
	Failed      Outcome = "error"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{OK, Limited, Refused, TimedOut, Canceled, Unavailable, Failed}
}

func outcome(err error) Outcome {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrLimited):
		return Limited
	case errors.Is(err, reconcile.ErrRefused):
		return Refused
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	case codeOf(err) == twirp.Unavailable:
		return Unavailable
	}
	return Failed
}

// codeOf returns the twirp code of err, or NoError.
func codeOf(err error) twirp.ErrorCode {
	var answer twirp.Error
	if !errors.As(err, &answer) {
		return twirp.NoError
	}
	return answer.Code()
}

// fromLiveKit reports whether err has that code and comes from the RoomService itself. The generated client marks errors that it made from an
// answer that was not twirp's, such as a proxy's 404 or 503.
func fromLiveKit(err error, code twirp.ErrorCode) bool {
	var answer twirp.Error
	return errors.As(err, &answer) && answer.Code() == code && answer.Meta("http_error_from_intermediary") == ""
}

// explain adds advice to an error of the twirp client, and keeps its cause.
func explain(err error) error {
	var over tooMany
	var transport *url.Error
	code := codeOf(err)
	switch {
	case errors.As(err, &over), code == twirp.ResourceExhausted:
		return fmt.Errorf("%w: %w", ErrLimited, brief{err})
	case errors.As(err, &transport):
		// The url.Error around it only repeats the URL.
		return brief{transport.Err}
	case code == twirp.Unauthenticated, code == twirp.PermissionDenied:
		return fmt.Errorf("%w: %w", reconcile.ErrRefused, brief{err})
	case code == twirp.BadRoute:
		return fmt.Errorf("there is no RoomService at this address: %w", brief{err})
	}
	return brief{err}
}

// brief shortens an error's text, because a server chooses it.
type brief struct{ error }

func (b brief) Error() string { return fmt.Sprintf("%.300s", b.error.Error()) }

func (b brief) Unwrap() error { return b.error }
