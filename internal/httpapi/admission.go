package httpapi

import (
	"errors"
	"io"
	"sync/atomic"
)

// places bounds how many webhooks are in flight. Who finds none is told at once; nobody queues.
type places struct {
	limit int64
	taken atomic.Int64
}

func (p *places) take() bool {
	if p.taken.Add(1) <= p.limit {
		return true
	}
	p.taken.Add(-1)
	return false
}

func (p *places) leave() { p.taken.Add(-1) }

// errNoRoom: the bodies in memory reach the bound.
var errNoRoom = errors.New("too many bytes of bodies in memory")

// budget bounds the bytes of all bodies held at once. It is spent as bytes arrive and not by what a header announces, so
// that reserving memory costs a stranger the sending.
type budget struct {
	limit int64
	spent atomic.Int64
}

func (b *budget) spend(n int64) bool {
	if b.spent.Add(n) <= b.limit {
		return true
	}
	b.spent.Add(-n)
	return false
}

// firstBytes is what a body gets before it has shown more; nearly every webhook fits.
const firstBytes = 16 << 10

// read takes a body of at most limit bytes; declared is its Content-Length, or -1. free gives the bytes back and is never
// nil. Errors: errTooLarge, errTooSlow, errNoRoom, or the reader's.
func (b *budget) read(r io.Reader, declared, limit int64) (body []byte, free func(), err error) {
	free = func() { b.spent.Add(-int64(cap(body))) }
	if declared > limit {
		return nil, free, errTooLarge
	}
	most := limit
	if declared >= 0 {
		most = declared
	}
	// One byte more than may come, so that the end is seen without growing.
	for size := min(firstBytes, most+1); ; size = min(2*size, most+1) {
		if !b.spend(size) {
			return body, free, errNoRoom
		}
		grown := append(make([]byte, 0, size), body...)
		b.spent.Add(-int64(cap(body)))
		body, err = fill(r, grown)
		switch {
		case int64(len(body)) > most:
			return body, free, errTooLarge
		case err == io.EOF:
			return body, free, nil
		case err != nil:
			return body, free, readError(err)
		}
	}
}

// fill reads until body is as long as it has room for, or to an error. io.ReadFull would not do: it gives the same error
// for a body that ends as for one that breaks off.
func fill(r io.Reader, body []byte) ([]byte, error) {
	for len(body) < cap(body) {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err != nil {
			return body, err
		}
	}
	return body, nil
}
