// Package crash turns a panic of a goroutine into an error. Go ends the whole process for a panic that its own goroutine does
// not recover: one room or one answer that our code cannot bear would take all rooms of the node with it, and of the next
// node after it.
package crash

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Err is what every such error is.
var Err = errors.New("it crashed; please report this with the stack in the log")

// Recover is for defer: if the goroutine panics, it logs that with the stack and sets *err. What names the work.
func Recover(log *slog.Logger, what string, err *error) {
	cause := recover()
	if cause == nil {
		return
	}
	log.Error("a crash was contained; please report this with the stack", "in", what, "cause", cause, "stack", string(debug.Stack()))
	*err = fmt.Errorf("%s: %w: %v", what, Err, cause)
}

// Contain runs work and returns its error, or that of its crash.
func Contain(log *slog.Logger, what string, work func() error) (err error) {
	defer Recover(log, what, &err)
	return work()
}
