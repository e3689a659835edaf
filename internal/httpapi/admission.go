package httpapi

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// errOverMemory means that the bodies in memory have reached the limit.
var errOverMemory = errors.New("too many bytes of bodies in memory")

// bodyMemory limits the bytes of all bodies held at once. It is charged as bytes arrive, not by what a header announces: a
// stranger can reserve memory only by sending as much.
type bodyMemory struct {
	limit int64
	spent atomic.Int64
}

func (b *bodyMemory) spend(n int64) bool {
	if b.spent.Add(n) <= b.limit {
		return true
	}
	b.spent.Add(-n)
	return false
}

// Nearly every webhook says that it is shorter than usualBytes, and gets a buffer of that size, which is used again. All other bodies get a
// first buffer of at most firstBytes.
const (
	firstBytes = 16 << 10
	usualBytes = 4 << 10
)

var usualBodies = sync.Pool{New: func() any { return new([usualBytes]byte) }}

// read reads a body of at most limit bytes; declared is its Content-Length, or -1. free gives the bytes back, which must not be used after it,
// and is never nil. Errors: errTooLarge, errTooSlow, errOverMemory, or the reader's.
func (b *bodyMemory) read(r io.Reader, declared, limit int64) (body []byte, free func(), err error) {
	free = func() {
		b.spent.Add(-int64(cap(body)))
		if cap(body) == usualBytes {
			usualBodies.Put((*[usualBytes]byte)(body[:usualBytes]))
		}
		body = nil
	}
	if declared > limit {
		return nil, free, errTooLarge
	}
	most := limit
	if declared >= 0 {
		most = declared
	}
	// One byte more than may come, so that the end is seen without growing the buffer.
	size := min(firstBytes, most+1)
	if most < usualBytes {
		size = usualBytes
	}
	for ; ; size = min(2*size, most+1) {
		if !b.spend(size) {
			return body, free, errOverMemory
		}
		grown := append(buffer(size), body...)
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

// buffer returns an empty slice of that capacity.
func buffer(size int64) []byte {
	if size == usualBytes {
		return usualBodies.Get().(*[usualBytes]byte)[:0]
	}
	return make([]byte, 0, size)
}

// fill reads until body is full or an error occurs. io.ReadFull would not do: it returns the same error for a body that ends
// and for one that breaks off.
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
