package livekit

import (
	"context"
	"errors"
	"sync/atomic"
)

// maxKeptTogether bounds what answers that are read at the same time keep together, in bytes.
const maxKeptTogether = 192 << 20

// errCrowded means that no more of an answer can be kept while others are read.
var errCrowded = errors.New("the answers that are read at once hold too much together")

// kept counts what the answers that are being read keep together. One more answer may be read outside of that, up to its own bound: one that
// found too little space left by the others.
type kept struct {
	bytes atomic.Int64
	most  int64
	own   chan struct{}
}

func newKept() *kept { return &kept{most: maxKeptTogether, own: make(chan struct{}, 1)} }

// part is what one answer keeps.
type part struct {
	kept  *kept // nil for the answer that is read outside the common bound
	bytes int64
	leave func()
}

func (k *kept) shared() *part { return &part{kept: k, leave: func() {}} }

// alone waits for the one place for an answer that is read outside the common bound.
func (k *kept) alone(ctx context.Context) (*part, error) {
	select {
	case k.own <- struct{}{}:
		return &part{leave: func() { <-k.own }}, nil
	case <-ctx.Done():
		return k.shared(), context.Cause(ctx)
	}
}

func (p *part) take(size int) error {
	if p == nil || p.kept == nil {
		return nil
	}
	p.bytes += int64(size)
	if p.kept.bytes.Add(int64(size)) > p.kept.most {
		return errCrowded
	}
	return nil
}

// free gives everything back. Further calls do nothing.
func (p *part) free() {
	if p.kept != nil {
		p.kept.bytes.Add(-p.bytes)
	}
	p.leave()
	p.bytes, p.leave = 0, func() {}
}
