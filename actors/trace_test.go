package actors

import (
	"context"
	"testing"
	"time"
)

// TestNoTraceCostsNothing checks that the context of a message without a trace costs what a context with a deadline costs.
func TestNoTraceCostsNothing(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	message := &call{deadline: deadline}
	want := testing.AllocsPerRun(100, func() {
		_, cancel := context.WithDeadline(t.Context(), deadline)
		cancel()
	})
	got := testing.AllocsPerRun(100, func() {
		_, cancel := message.context(t.Context())
		cancel()
	})
	if got != want {
		t.Errorf("a message's context takes %v allocations, want %v", got, want)
	}
}
