package httpapi

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// lightBytes is the size up to which a webhook, or what it was decoded to, passes freely. LiveKit's default limits allow
	// 128 KiB of metadata and attributes, so nearly every webhook is light.
	lightBytes = 256 << 10
	// lightEvent is the size up to which a decoded event needs no share of heavyBytes: 4,096 slots of 16 KiB are 64 MiB.
	lightEvent = 16 << 10
	// heavyBytes limits the total size of the larger webhooks that are decoded and committed at once. Each takes up to ten
	// times its size until it is in Redis.
	heavyBytes = 16 << 20
	// heavyShare is the fraction of the body memory that the larger webhooks may take. The rest is left to the light ones.
	heavyShare = 0.75
	// attributeCost is the memory that an attribute takes apart from its text.
	attributeCost = 96
)

// errHeavy means that a large webhook had to wait too long for others.
var errHeavy = errors.New("too many large webhooks at once")

// heavy limits what large webhooks take. Light ones never wait for them.
type heavy struct {
	reading atomic.Int64 // bytes of larger bodies that are being read
	most    int64        // limit of reading
	work    *semaphore.Weighted
}

func newHeavy(bodies int64) *heavy {
	return &heavy{most: int64(float64(bodies) * heavyShare), work: semaphore.NewWeighted(heavyBytes)}
}

// body counts what is read of a body once it is no longer light. done must be called when the body is released.
func (h *heavy) body(r io.Reader) (counted io.Reader, done func()) {
	c := &countedBody{Reader: r, heavy: h}
	return c, func() { h.reading.Add(-c.spent) }
}

// countedBody charges twice what arrives: a body that grows is copied into a buffer of twice its size.
type countedBody struct {
	io.Reader
	heavy       *heavy
	read, spent int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.read += int64(n); c.read <= lightBytes {
		return n, err
	}
	more := 2*c.read - c.spent
	c.spent += more
	if c.heavy.reading.Add(more) > c.heavy.most {
		return n, errOverMemory
	}
	return n, err
}

// heavyPart is the share of one webhook in the work on large ones.
type heavyPart struct {
	heavy *heavy
	size  int64
}

// take reserves what the webhook needs and waits until the deadline at most. A webhook that already holds a share does not
// wait for more, since two such webhooks could wait for each other.
func (s *heavyPart) take(size int64, deadline time.Time) error {
	more := min(size, heavyBytes) - s.size
	switch {
	case more <= 0:
		return nil
	case s.heavy.work.TryAcquire(more):
	case s.size > 0:
		return errHeavy
	default:
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		if err := s.heavy.work.Acquire(ctx, more); err != nil {
			return errHeavy
		}
	}
	s.size += more
	return nil
}

func (s *heavyPart) free() {
	if s.size > 0 {
		s.heavy.work.Release(s.size)
	}
}

// weight estimates the memory that an event holds.
func weight(ev reconcile.Event) int64 {
	p := &ev.Participant
	n := len(ev.ID) + len(ev.Reason) + len(ev.Room.Name) + len(ev.Room.SID) + len(ev.Room.Metadata) +
		len(p.Identity) + len(p.SID) + len(p.Name) + len(p.Metadata) + len(p.Kind)
	for key, value := range p.Attributes {
		n += attributeCost + len(key) + len(value)
	}
	return int64(n)
}
