package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// Live reports changes as they happen.
type Live interface {
	// Now returns the cluster status as this node knows it, without asking another node. Error: ErrUnavailable.
	Now() (ClusterStatus, error)
	// Changed returns a channel that is closed at the next change of what Now returns. Take it, then call Now, then wait for it. A nil channel never
	// reports a change.
	Changed() <-chan struct{}
	// Last returns the id of the last change of any room, and the time then in Unix ms: later changes have an id of that
	// time or later.
	Last(ctx context.Context) (id string, now int64, err error)
	// Follow passes all changes after that id to take, in order, until ctx ends or it fails.
	Follow(ctx context.Context, after string, take func([]reconcile.FeedEntry)) error
	// Since returns some of the changes after an id; they may be none even if more follow. After an id that is malformed, or
	// beyond the last change, there are none, and Last is the last change.
	Since(ctx context.Context, q reconcile.FeedQuery) (reconcile.FeedPart, error)
}

// ClusterStatus is the part of the cluster's state that goes over /api/events.
type ClusterStatus struct {
	Leader                string // empty: none
	Term, Epoch           uint64
	Members               []string // of the view
	Running               bool     // the service switch
	LastSync, LastCleanup *reconcile.Report
	Redis                 DependencyState // as it answers this node
}

const (
	// watcherFrames is how many events may wait for one watcher. A watcher that is further behind is cut off and connects
	// again.
	watcherFrames = 256
	// statusEvery is how often the cluster status is read although no change of it was reported: nothing reports that Redis hangs.
	statusEvery = 500 * time.Millisecond
	// followRest is how long the reader waits after Redis has failed.
	followRest = time.Second
)

// frame is one event, encoded once for all watchers that get it.
type frame struct {
	id   string // of a change
	room string // the room that changed
	nth  uint64 // number of the change among the room's changes of its millisecond
	text []byte // without the id
	held int    // number of watchers that hold it; guarded by the hub's lock
}

// watcher is the receiving end of one stream.
type watcher struct {
	room   string // the only room whose changes it gets; "" for everything
	frames chan *frame
	cut    chan struct{} // closed when the hub cuts it off
	why    string        // set before cut is closed

	interrupt func()   // ends its write
	queue     []*frame // those in frames, and the one that is being written; guarded by the hub's lock
	waiting   int64    // bytes of queue
}

// hub sends every event to all watchers. While there are watchers, one goroutine follows the changes and one polls the
// cluster status. A watcher that does not keep up is cut off, so nobody waits for anybody.
type hub struct {
	live Live
	log  *slog.Logger

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	counts   streamCounts
	waiting  int64              // bytes of all frames that wait for any watcher, each counted once
	limit    int64              // of waiting
	starting *start             // the start of the readers, while it is under way
	end      context.CancelFunc // of the readers; nil while there are no watchers
	readers  sync.WaitGroup
	life     context.Context // ends when the node stops
	closed   context.CancelFunc
}

// start is the position where the readers begin. Redis is asked for it, so nobody may hold the hub's lock meanwhile: a Redis
// that hangs would delay the node's stop.
type start struct {
	done   chan struct{}
	last   string
	status ClusterStatus
	err    error
}

func newHub(live Live, limit int64, log *slog.Logger) *hub {
	h := &hub{live: live, log: log, limit: limit, watchers: map[*watcher]struct{}{}, counts: newStreamCounts()}
	h.life, h.closed = context.WithCancel(context.Background())
	return h
}

// join adds a watcher, which gets all changes made after this call. interrupt must end a write to it. Errors: ErrUnavailable
// while stopping, or the port's.
func (h *hub) join(ctx context.Context, room string, interrupt func()) (*watcher, error) {
	for {
		w, s, mine, err := h.enter(room, interrupt)
		switch {
		case err != nil || w != nil:
			return w, err
		case mine:
			h.find(ctx, s)
			if w, err := h.begin(s, room, interrupt); w != nil || err != nil {
				return w, err
			}
		}
		select {
		case <-s.done:
		case <-h.life.Done():
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: Redis does not report the last change: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// enter adds a watcher if the readers run. If they do not, it returns their start, which the caller must find if mine is
// true.
func (h *hub) enter(room string, interrupt func()) (w *watcher, s *start, mine bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.life.Err() != nil:
		return nil, nil, false, fmt.Errorf("shutting down: %w", ErrUnavailable)
	case h.end != nil:
		return h.add(room, interrupt), nil, false, nil
	case h.starting == nil:
		h.starting, mine = &start{done: make(chan struct{})}, true
	}
	return nil, h.starting, mine, nil
}

// add adds a watcher. The caller holds the lock.
func (h *hub) add(room string, interrupt func()) *watcher {
	w := &watcher{room: room, frames: make(chan *frame, watcherFrames), cut: make(chan struct{}), interrupt: interrupt}
	h.watchers[w] = struct{}{}
	return w
}

// find determines where the readers begin. It does so before any watcher is told that it is connected, so that no change
// between the two is lost.
func (h *hub) find(ctx context.Context, s *start) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	if s.last, _, s.err = h.live.Last(ctx); s.err == nil {
		s.status, s.err = h.live.Now()
	}
}

// begin starts the readers and adds the first watcher. It wakes those that wait for the start; if the start failed, one of
// them tries again.
func (h *hub) begin(s *start, room string, interrupt func()) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting = nil
	close(s.done)
	if s.err != nil || h.life.Err() != nil {
		return nil, s.err // without an error: enter reports that this node stops
	}
	life, end := context.WithCancel(h.life)
	h.end = end
	h.readers.Go(func() { h.follow(life, s.last) })
	h.readers.Go(func() { h.watchStatus(life, s.status) })
	return h.add(room, interrupt), nil
}

// leave removes a watcher, and stops the readers with the last one.
func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
	h.drop(w)
	if len(h.watchers) == 0 && h.end != nil {
		h.end()
		h.end = nil
	}
}

// follow publishes changes. After a failure it continues where it was.
func (h *hub) follow(ctx context.Context, last string) {
	var nth ordinals
	for ctx.Err() == nil {
		err := h.live.Follow(ctx, last, func(changes []reconcile.FeedEntry) {
			for _, c := range changes {
				last = c.ID
				f := frameOf(c)
				f.nth = nth.of(c)
				h.pass(ctx, f)
			}
		})
		if ctx.Err() != nil {
			return
		}
		h.counts.failures.Inc()
		h.log.Debug("the changes cannot be followed; retrying", "error", err)
		_ = wait.For(ctx, followRest)
	}
}

// watchStatus publishes the changes of the cluster status.
func (h *hub) watchStatus(ctx context.Context, was ClusterStatus) {
	for {
		changed := h.live.Changed()
		if now, err := h.live.Now(); err == nil {
			for _, f := range now.since(was) {
				h.pass(ctx, f)
			}
			was = now
		}
		select {
		case <-changed:
		case <-time.After(statusEvery):
		case <-ctx.Done():
			return
		}
	}
}

// pass sends a frame to all watchers that it concerns. A cancelled reader publishes nothing: by then others may watch, with
// readers of their own.
func (h *hub) pass(ctx context.Context, f *frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	for w := range h.watchers {
		if w.room != "" && (f.id == "" || w.room != f.room) {
			continue
		}
		h.give(w, f)
	}
	for h.waiting > h.limit && len(h.watchers) > 0 {
		slowest := h.slowest()
		h.cutOff(slowest, cutSlow)
		slowest.interrupt()
	}
}

// give queues a frame for a watcher. At most half of what may wait for all watchers, or one frame, may wait for one. The
// caller holds the lock.
func (h *hub) give(w *watcher, f *frame) {
	size := int64(len(f.text))
	if len(w.queue) > watcherFrames || w.waiting > 0 && w.waiting+size > h.limit/2 {
		h.cutOff(w, cutSlow)
		return
	}
	select {
	case w.frames <- f:
	default:
		h.cutOff(w, cutSlow)
		return
	}
	h.counts.sent.Inc()
	w.queue, w.waiting = append(w.queue, f), w.waiting+size
	if f.held++; f.held == 1 {
		h.waiting += size
	}
}

// slowest returns the watcher with the most waiting bytes. The caller holds the lock.
func (h *hub) slowest() (most *watcher) {
	for w := range h.watchers {
		if most == nil || w.waiting > most.waiting {
			most = w
		}
	}
	return most
}

// done records that the first of a watcher's frames has been sent to it.
func (h *hub) done(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(w.queue) > 0 { // otherwise it has been cut off meanwhile
		h.forget(w, w.queue[0])
		w.queue[0] = nil
		w.queue = w.queue[1:]
	}
}

// forget removes a frame from the counts of waiting bytes. The caller holds the lock.
func (h *hub) forget(w *watcher, f *frame) {
	size := int64(len(f.text))
	w.waiting -= size
	if f.held--; f.held == 0 {
		h.waiting -= size
	}
}

// drop discards everything that waits for a watcher. The caller holds the lock.
func (h *hub) drop(w *watcher) {
	for _, f := range w.queue {
		h.forget(w, f)
	}
	w.queue = nil
	for {
		select {
		case <-w.frames:
		default:
			return
		}
	}
}

// cutReason is why a watcher is cut off, as the metrics name it.
type cutReason string

const (
	cutSlow     cutReason = "too_slow"
	cutStopping cutReason = "stopping"
)

// text returns what the watcher is told.
func (r cutReason) text() string {
	if r == cutStopping {
		return "this node stops: connect to another"
	}
	return "too slow: connect again"
}

// cutOff removes a watcher and tells it why. The caller holds the lock.
func (h *hub) cutOff(w *watcher, why cutReason) {
	h.counts.cut.WithLabelValues(string(why)).Inc()
	delete(h.watchers, w)
	h.drop(w)
	w.why = why.text()
	close(w.cut)
}

// close cuts all watchers off and admits no new one.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed()
	for w := range h.watchers {
		h.cutOff(w, cutStopping)
	}
	if h.end != nil {
		h.end()
		h.end = nil
	}
}

func frameOf(c reconcile.FeedEntry) *frame {
	if len(c.Data) == 0 {
		c.Data = json.RawMessage("null")
	}
	return &frame{id: c.ID, room: c.Room, text: changeText(c)}
}

// noData stands for the data of a change while the rest is encoded. No string can contain it, because its quotes would be
// escaped.
var noData = []byte(`"data":null`)

// changeText is eventText for a change. Its data may be large and is copied once.
func changeText(c reconcile.FeedEntry) []byte {
	data := c.Data
	c.Data = json.RawMessage("null")
	body, err := encodeJSON(c)
	before, after, ok := bytes.Cut(bytes.TrimSpace(body), noData)
	if err != nil || !ok {
		return nil
	}
	var b bytes.Buffer
	b.Grow(len(body) + len(data) + 32)
	b.WriteString("event: change\ndata: ")
	b.Write(before)
	b.WriteString(`"data":`)
	if json.Compact(&b, data) != nil {
		return nil // data written by others that is not JSON: ports return none
	}
	b.Write(after)
	b.WriteString("\n\n")
	return b.Bytes()
}

// eventText encodes an event for the stream. encodeJSON returns a single line.
func eventText(name string, data any) []byte {
	body, err := encodeJSON(data)
	if err != nil {
		return nil // data written by others that is not JSON: ports return none
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", name, bytes.TrimSpace(body))
	return b.Bytes()
}

type leaderEvent struct {
	Leader string `json:"leader"`
	Term   uint64 `json:"term"`
	Epoch  uint64 `json:"epoch"`
}

type membersEvent struct {
	Epoch   uint64   `json:"epoch"`
	Members []string `json:"members"`
}

type serviceEvent struct {
	Running bool `json:"running"`
}

func (s ClusterStatus) leader() *frame {
	return &frame{text: eventText("leader", leaderEvent{s.Leader, s.Term, s.Epoch})}
}

func (s ClusterStatus) members() *frame {
	return &frame{text: eventText("members", membersEvent{s.Epoch, append([]string{}, s.Members...)})}
}

type redisEvent struct {
	State DependencyState `json:"state"`
}

func (s ClusterStatus) redis() *frame {
	return &frame{text: eventText("redis", redisEvent{s.Redis})}
}

func (s ClusterStatus) service() *frame {
	return &frame{text: eventText("service", serviceEvent{s.Running})}
}

// since returns the events that lead from was to s.
func (s ClusterStatus) since(was ClusterStatus) (events []*frame) {
	if s.Leader != was.Leader || s.Term != was.Term {
		events = append(events, s.leader())
	}
	if s.Epoch != was.Epoch || !reflect.DeepEqual(s.Members, was.Members) {
		events = append(events, s.members())
	}
	if s.Running != was.Running {
		events = append(events, s.service())
	}
	if s.Redis != was.Redis {
		events = append(events, s.redis())
	}
	for name, r := range map[string][2]*reconcile.Report{"sync": {was.LastSync, s.LastSync}, "cleanup": {was.LastCleanup, s.LastCleanup}} {
		if r[1] != nil && (r[0] == nil || !r[0].StartedAt.Equal(r[1].StartedAt)) {
			events = append(events, &frame{text: eventText(name, asReportAnswer(r[1]))})
		}
	}
	return events
}
