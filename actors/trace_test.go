package actors

import (
	"context"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// TestNoTraceCostsNothing checks that the context of a message without a trace is that of its deadline.
func TestNoTraceCostsNothing(t *testing.T) {
	type key struct{}
	by, message := wait.NewDeadlines(t.Context()), &call{deadline: time.Now().Add(time.Hour)}
	if got := message.context(by); got != by.At(message.deadline) {
		t.Errorf("got %v, want the context of the deadline", got)
	}
	message.trace = func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, "a trace") }
	if got := message.context(by); got.Value(key{}) != "a trace" {
		t.Errorf("got %v, want the context with the trace", got)
	}
}
