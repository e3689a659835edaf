package httpapi

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rollcallhq/rollcall/reconcile"
)

// wire is a fake of the changes and of the cluster status.
type wire struct {
	mu        sync.Mutex
	changes   []reconcile.FeedEntry
	news      chan struct{} // closed at the next change
	standing  ClusterStatus
	changed   chan struct{} // closed at the next set
	fail      error         // of Last and Since
	broken    error         // of Follow, once
	followers int
	now       int64                 // Unix ms
	queries   []reconcile.FeedQuery // of Since
}

// emit makes a change to a room.
func (w *wire) emit(room string, data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.changes) + 1
	w.changes = append(w.changes, reconcile.FeedEntry{ID: fmt.Sprintf("%d-%d", 1000+n/3, n%3), Room: room, Type: reconcile.ParticipantJoined, Identity: "ada",
		SID: "PA_x", Cause: reconcile.ByWebhook, Version: uint64(n), Time: 1795399866530, Data: []byte(data)})
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

func (w *wire) set(change func(*ClusterStatus)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.standing)
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// quietly makes a change that Changed does not report.
func (w *wire) quietly(change func(*ClusterStatus)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.standing)
}

// tear ends the stream that is being followed.
func (w *wire) tear(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
	if w.news != nil {
		close(w.news)
		w.news = nil
	}
}

func (w *wire) following() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.followers
}

// after returns the changes after an id and, if there are none, a channel that is closed at the next one.
func (w *wire) after(id string) ([]reconcile.FeedEntry, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.broken; err != nil {
		w.broken = nil
		return nil, nil, err
	}
	at := slices.IndexFunc(w.changes, func(c reconcile.FeedEntry) bool { return c.ID == id }) + 1
	if w.news == nil {
		w.news = make(chan struct{})
	}
	return slices.Clone(w.changes[at:]), w.news, nil
}

func (n *node) ports() Ports {
	return Ports{Verifier: n, Deliverer: n, Admin: n, Cluster: n, Reader: n, Tokens: n, Health: n, History: n, LiveKit: n, Meter: n, Live: n, Reloader: n}
}

func (n *node) Timeline(_ context.Context, _ string, limit int) ([]reconcile.TimelineEntry, error) {
	return n.timeline[:min(limit, len(n.timeline))], n.readErr
}

func (n *node) Drift(context.Context) ([]reconcile.DriftEntry, error) { return n.drift, n.readErr }

func (n *node) Look(context.Context, string) (reconcile.Look, error) {
	if n.looking != nil {
		n.looking()
	}
	return n.look, n.readErr
}

func (n *node) Stats() Stats { return n.stats }

func (n *node) Changed() <-chan struct{} {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	if n.wire.changed == nil {
		n.wire.changed = make(chan struct{})
	}
	return n.wire.changed
}

func (n *node) Now() (ClusterStatus, error) {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	return n.wire.standing, nil
}

func (n *node) Last(context.Context) (string, int64, error) {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	return n.wire.newest(), n.wire.now, n.wire.fail
}

// newest returns the id of the last change. The caller holds the lock.
func (w *wire) newest() string {
	if len(w.changes) == 0 {
		return "0-0"
	}
	return w.changes[len(w.changes)-1].ID
}

func (n *node) Follow(ctx context.Context, after string, take func([]reconcile.FeedEntry)) error {
	n.wire.mu.Lock()
	n.wire.followers++
	n.wire.mu.Unlock()
	defer func() {
		n.wire.mu.Lock()
		n.wire.followers--
		n.wire.mu.Unlock()
	}()
	for {
		changes, news, err := n.wire.after(after)
		if err != nil {
			return err
		}
		if len(changes) > 0 {
			take(changes)
			after = changes[len(changes)-1].ID
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *node) Since(_ context.Context, q reconcile.FeedQuery) (reconcile.FeedPart, error) {
	n.wire.mu.Lock()
	defer n.wire.mu.Unlock()
	n.wire.queries = append(n.wire.queries, q)
	p := reconcile.FeedPart{Last: q.After}
	if _, _, ok := numbersOf(q.After); !ok || !follows(n.wire.newest(), q.After) {
		p.Last = n.wire.newest()
		return p, n.wire.fail
	}
	given := int64(0)
	for _, c := range n.wire.changes {
		size, wanted := int64(len(c.Data)), !q.OneRoom || c.Room == q.Room
		switch {
		case !follows(c.ID, q.After):
			continue
		case p.Looked == q.Entries, wanted && given+size > q.Bytes:
			p.More = true
			if given == 0 && size > q.Bytes {
				p.Needs = size
			}
			return p, n.wire.fail
		case wanted:
			p.Changes, given = append(p.Changes, c), given+size
		}
		p.Last, p.Looked, p.Bytes = c.ID, p.Looked+1, p.Bytes+size
	}
	return p, n.wire.fail
}
