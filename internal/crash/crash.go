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

// Guard contains panics. Each is a bug that somebody must hear of, so it is logged and counted.
type Guard struct {
	Log *slog.Logger
	// Count, if not nil, is called once for each panic.
	Count func()
}

// Recover is for defer: if the goroutine panics, it logs the panic with the stack, counts it and sets *err. what names the work.
func (g Guard) Recover(what string, err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	if g.Count != nil {
		g.Count()
	}
	g.Log.Error("a crash was contained; please report this with the stack", "in", what, "cause", cause, "stack", string(debug.Stack()))
	*err = fmt.Errorf("%s: %w: %v", what, Err, cause)
}

// Contain runs work and returns its error, or an error for its panic.
func (g Guard) Contain(what string, work func() error) (err error) {
	defer g.Recover(what, &err)
	return work()
}
