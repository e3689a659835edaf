package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/rollcallhq/rollcall/reconcile"
)

// rank orders callers by what they may do. Some slots and bytes are reserved for callers of a higher rank.
type rank int

const (
	readsRoom  rank = iota // one room
	readsAll               // every room
	actsAsWell             // on the cluster
	ranks
)

// caller identifies whose slots and bytes are counted together. The holder of the admin token, and a local program that
// needs no token, have no id: their share has no limit of its own.
type caller struct {
	id   string
	rank rank
}

// callerOf identifies the holder of a LiveKit token by its identity and room or, without an identity, by the token itself.
// All tokens for one room with the same identity are one caller.
func callerOf(g reconcile.Grant, token string) caller {
	c := caller{id: "identity " + g.Identity + "\x00room " + g.Room, rank: readsRoom}
	if g.Identity == "" {
		sum := sha256.Sum256([]byte(token))
		c.id = "token " + hex.EncodeToString(sum[:])
	}
	switch {
	case allows(g, act, ""):
		c.rank, c.id = actsAsWell, "acts, "+c.id
	case g.RoomList:
		c.rank, c.id = readsAll, "reads, "+c.id
	}
	return c
}

// quota limits how much of something callers hold: slots or bytes. It is safe for concurrent use.
type quota struct {
	upTo [ranks]int64 // what callers of that rank and of lower ones may hold together
	each int64        // what one caller with an id may hold

	mu    sync.Mutex
	spent [ranks]int64
	by    map[string]int64
	freed chan struct{} // closed when something is given back; nil if nobody waits
}

// newQuota reserves a quarter for callers that read everything, half of that quarter for callers that act, and at least one
// for each rank if limit is four or more.
func newQuota(limit, each int64) *quota {
	q := &quota{upTo: [ranks]int64{limit, limit, limit}, each: each, by: map[string]int64{}}
	if limit >= 4 {
		q.upTo = [ranks]int64{limit - max(limit/4, 2), limit - max(limit/8, 1), limit}
	}
	return q
}

// take takes n for a caller, or nothing. It reports whether it did.
func (q *quota) take(who caller, n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if who.id != "" && q.by[who.id]+n > q.each {
		return false
	}
	held := int64(0)
	for r := range ranks {
		if held += q.spent[r]; r >= who.rank && held+n > q.upTo[r] {
			return false
		}
	}
	q.spent[who.rank] += n
	if who.id != "" {
		q.by[who.id] += n
	}
	return true
}

// usage returns what a caller with an id holds, what all callers hold, and how much of that callers of its rank and of lower ones may hold.
func (q *quota) usage(who caller) (own, all, limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range q.spent {
		all += n
	}
	if who.id != "" {
		own = q.by[who.id]
	}
	return own, all, q.upTo[who.rank]
}

// give gives n back.
func (q *quota) give(who caller, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spent[who.rank] -= n
	if who.id != "" {
		if q.by[who.id] -= n; q.by[who.id] <= 0 {
			delete(q.by, who.id)
		}
	}
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// wait takes n for a caller as soon as possible. Error: ErrBusy if ctx ends first.
func (q *quota) wait(ctx context.Context, who caller, n int64) error {
	for {
		freed := q.next()
		if q.take(who, n) {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ErrBusy
		}
	}
}

// next returns a channel that is closed when something is given back.
func (q *quota) next() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.freed == nil {
		q.freed = make(chan struct{})
	}
	return q.freed
}

// share is the part of the answer memory that one request holds.
type share struct {
	of  *quota
	who caller
	n   int64
}

// need sets the share to n bytes. It must be called before the memory grows. Error: ErrBusy, which leaves the share as it
// was.
func (s *share) need(n int64) error {
	switch {
	case n > s.n && !s.of.take(s.who, n-s.n):
		return ErrBusy
	case n < s.n:
		s.of.give(s.who, s.n-n)
	}
	s.n = n
	return nil
}
