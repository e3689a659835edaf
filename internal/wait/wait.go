// Package wait sleeps with a context, and makes contexts that many share.
package wait

import (
	"context"
	"time"
)

// For waits for d. It returns ctx's error if ctx ends first, or has ended by then.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
