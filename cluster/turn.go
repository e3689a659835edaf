package cluster

import "context"

// turn is a lock for work that waits for other nodes: whoever waits for it gives up with its context, as a request does
// whose asker has gone.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn, until ctx ends.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try takes the turn if it is free.
func (t turn) try() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t turn) give() { <-t }
