// Package crash turns a panic of a goroutine into an error. Go ends the whole process for a panic that its own goroutine does not recover: one
// room or one answer that our code cannot handle would take down all rooms of the node, and then of the next node.
package crash

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Err is wrapped by every error that this package makes of a panic.
var Err = errors.New("it crashed; please report this with the stack in the log")

// Recover is for defer: if the goroutine panics, it logs the panic with the stack and sets *err. what names the work.
func Recover(log *slog.Logger, what string, err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	log.Error("a crash was contained; please report this with the stack", "in", what, "cause", cause, "stack", string(debug.Stack()))
	*err = fmt.Errorf("%s: %w: %v", what, Err, cause)
}

// Contain runs work and returns its error, or an error for its panic.
func Contain(log *slog.Logger, what string, work func() error) (err error) {
	defer Recover(log, what, &err)
	return work()
}
