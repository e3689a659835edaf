package reconcile

import "context"

type urgent struct{}

// Urgent marks work that a webhook waits for. LiveKit repeats a webhook only a few times, within some seconds. So for such work the store
// waits for a part of Redis that does not answer for as long as the webhook may take. Other work is repeated and need not wait that long.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgent{}, true) }

// IsUrgent reports whether a webhook waits for the work.
func IsUrgent(ctx context.Context) bool { return ctx.Value(urgent{}) != nil }
