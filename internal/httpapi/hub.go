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

	"github.com/rollcallhq/rollcall/reconcile"
)

// Live tells what happens, as it happens.
type Live interface {
	// Standing is the cluster as this node knows it, without asking another. Error: ErrUnavailable.
	Standing() (Standing, error)
	// Last is the id of the last change, whichever room's, and the time then in Unix ms: later changes have an id of that time or
	// of a later one.
	Last(ctx context.Context) (id string, now int64, err error)
	// Follow gives take all changes after that id, in order, until ctx ends or it fails.
	Follow(ctx context.Context, after string, take func([]Change)) error
	// Since gives a part of the changes after an id, which may be empty though others follow. After an id that is none, or that
	// is beyond the last change, there are none, and Last is the last change.
	Since(ctx context.Context, q Query) (Part, error)
}

// Query asks for a part of the changes.
type Query struct {
	After   string // the id of the change before
	OneRoom bool   // only those of Room
	Room    string
	Entries int   // how many to look at, whichever room's
	Bytes   int64 // how many to give
}

// Part is a part of the changes, oldest first.
type Part struct {
	Changes []Change
	// Last is the id as far as which the part looked: the next part comes after it. More tells that there are others.
	Last string
	More bool
	// Looked is how many changes, and Bytes how many bytes, the part looked at, whichever room's.
	Looked int
	Bytes  int64
	// Needs is the size of the next change where it alone is larger than the Query's Bytes; otherwise 0.
	Needs int64
}

// Standing is what of the cluster goes over /api/events.
type Standing struct {
	Leader                string // empty: none
	Term, Epoch           uint64
	Members               []string // the view's
	Running               bool     // the service switch
	LastSync, LastCleanup *Report
}

// Change is one change of the feed. IDs of one node's rise: they are two numbers, and so ordered.
type Change struct {
	ID       string               `json:"-"`
	Room     string               `json:"room"`
	Type     reconcile.ChangeType `json:"type"`
	Identity string               `json:"identity"`
	SID      string               `json:"sid"`
	Cause    reconcile.Cause      `json:"cause"`
	Version  uint64               `json:"version"`
	Time     int64                `json:"time"` // Unix ms
	Data     json.RawMessage      `json:"data"`
	// Of a participant_left only: LiveKit's DisconnectReason, and the times of the join and the leave in Unix ms.
	Reason   string `json:"reason,omitempty"`
	JoinedAt int64  `json:"joinedAt,omitempty"`
	LeftAt   int64  `json:"leftAt,omitempty"`
}

const (
	// watcherFrames is how many events may wait for one watcher; who is further behind is cut off and connects again.
	watcherFrames = 256
	// standingEvery is how often the cluster's standing is looked at. That asks nobody.
	standingEvery = 200 * time.Millisecond
	// followRest is how long the reader rests after Redis has failed it.
	followRest = time.Second
)

// frame is one event, encoded once for all who get it.
type frame struct {
	id   string // of a change
	room string // whose change it is
	nth  uint64 // which of the room's changes in its millisecond
	text []byte // without the id
	held int    // by how many watchers; under the hub's lock
}

// watcher is one who watches.
type watcher struct {
	room   string // whose changes alone it gets; "" for everything
	frames chan *frame
	cut    chan struct{} // closed when the hub lets go of it
	why    string        // set before

	interrupt func()   // ends its write
	queue     []*frame // those in frames, and the one that is being written; under the hub's lock
	waiting   int64    // their bytes
}

// hub fans out what happens to all watchers. One goroutine follows the changes and one looks at the cluster, while anybody
// watches; whoever does not keep up is cut off, and nobody waits for anybody.
type hub struct {
	live Live
	log  *slog.Logger

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	waiting  int64              // bytes of all frames that wait for anybody, each counted once
	limit    int64              // of those
	starting *start             // the readers' start, while it is under way
	end      context.CancelFunc // of the readers; nil while nobody watches
	readers  sync.WaitGroup
	life     context.Context // ends when the node stops
	closed   context.CancelFunc
}

// start is where the readers are to begin. Redis is asked for it, so nobody may hold the hub's lock meanwhile: a Redis that hangs
// would hold up the node's stop.
type start struct {
	done     chan struct{}
	last     string
	standing Standing
	err      error
}

func newHub(live Live, limit int64, log *slog.Logger) *hub {
	h := &hub{live: live, log: log, limit: limit, watchers: map[*watcher]struct{}{}}
	h.life, h.closed = context.WithCancel(context.Background())
	return h
}

// join adds a watcher: all changes after this call reach it. interrupt must end a write to it. Errors: ErrUnavailable while stopping, or the port's.
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
			return nil, fmt.Errorf("%w: Redis does not tell where the changes stand: %w", ErrUnavailable, ctx.Err())
		}
	}
}

// enter adds a watcher where the readers run. Where they do not, it gives their start, which is the caller's to find if mine.
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

// add needs the lock.
func (h *hub) add(room string, interrupt func()) *watcher {
	w := &watcher{room: room, frames: make(chan *frame, watcherFrames), cut: make(chan struct{}), interrupt: interrupt}
	h.watchers[w] = struct{}{}
	return w
}

// find settles where the readers begin, before anybody is told that he watches, or what happens meanwhile would be lost.
func (h *hub) find(ctx context.Context, s *start) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	if s.last, _, s.err = h.live.Last(ctx); s.err == nil {
		s.standing, s.err = h.live.Standing()
	}
}

// begin begins to read, and adds the first watcher. Those who wait for the start go on: if it failed, one of them tries again.
func (h *hub) begin(s *start, room string, interrupt func()) (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting = nil
	close(s.done)
	if s.err != nil || h.life.Err() != nil {
		return nil, s.err // enter tells that this node stops
	}
	life, end := context.WithCancel(h.life)
	h.end = end
	h.readers.Go(func() { h.follow(life, s.last) })
	h.readers.Go(func() { h.look(life, s.standing) })
	return h.add(room, interrupt), nil
}

// leave takes a watcher out, and ends the readers with the last one.
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

// follow passes changes on. After a failure it goes on where it was.
func (h *hub) follow(ctx context.Context, last string) {
	var nth ordinals
	for ctx.Err() == nil {
		err := h.live.Follow(ctx, last, func(changes []Change) {
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
		h.log.Debug("the changes cannot be followed; it is tried again", "err", err)
		select {
		case <-time.After(followRest):
		case <-ctx.Done():
		}
	}
}

// look passes on how the cluster's standing changes.
func (h *hub) look(ctx context.Context, was Standing) {
	tick := time.NewTicker(standingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, err := h.live.Standing()
		if err != nil {
			continue
		}
		for _, f := range now.since(was) {
			h.pass(ctx, f)
		}
		was = now
	}
}

// pass gives a frame to all whom it concerns. A reader that was told to end passes nothing on: others may watch by now, with
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
		h.cutOff(slowest, "too slow: connect again")
		slowest.interrupt()
	}
}

// give needs the lock. What waits for one watcher is at most half of what may wait for all, or one frame.
func (h *hub) give(w *watcher, f *frame) {
	size := int64(len(f.text))
	if len(w.queue) > watcherFrames || w.waiting > 0 && w.waiting+size > h.limit/2 {
		h.cutOff(w, "too slow: connect again")
		return
	}
	select {
	case w.frames <- f:
	default:
		h.cutOff(w, "too slow: connect again")
		return
	}
	w.queue, w.waiting = append(w.queue, f), w.waiting+size
	if f.held++; f.held == 1 {
		h.waiting += size
	}
}

// slowest is the watcher for whom most waits. It needs the lock.
func (h *hub) slowest() (most *watcher) {
	for w := range h.watchers {
		if most == nil || w.waiting > most.waiting {
			most = w
		}
	}
	return most
}

// done tells that a watcher has been sent the first of its frames.
func (h *hub) done(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(w.queue) > 0 { // else it has been cut off meanwhile
		h.forget(w, w.queue[0])
		w.queue[0] = nil
		w.queue = w.queue[1:]
	}
}

// forget needs the lock.
func (h *hub) forget(w *watcher, f *frame) {
	size := int64(len(f.text))
	w.waiting -= size
	if f.held--; f.held == 0 {
		h.waiting -= size
	}
}

// drop lets all go that waits for a watcher. It needs the lock.
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

// cutOff needs the lock.
func (h *hub) cutOff(w *watcher, why string) {
	delete(h.watchers, w)
	h.drop(w)
	w.why = why
	close(w.cut)
}

// close cuts everybody off and lets nobody in.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed()
	for w := range h.watchers {
		h.cutOff(w, "this node stops: connect to another")
	}
	if h.end != nil {
		h.end()
		h.end = nil
	}
}

func frameOf(c Change) *frame {
	if len(c.Data) == 0 {
		c.Data = json.RawMessage("null")
	}
	return &frame{id: c.ID, room: c.Room, text: changeText(c)}
}

// noData stands for the data of a change while the rest is encoded. No string can hold it: its quotes would be escaped there.
var noData = []byte(`"data":null`)

// changeText is eventText of a change. Its data may be large, and is copied once.
func changeText(c Change) []byte {
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
		return nil // data of others that is no JSON: ports give none
	}
	b.Write(after)
	b.WriteString("\n\n")
	return b.Bytes()
}

// eventText is an event as the stream carries it. What encodeJSON gives is one line.
func eventText(name string, data any) []byte {
	body, err := encodeJSON(data)
	if err != nil {
		return nil // data of others that is no JSON: ports give none
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

func (s Standing) leader() *frame {
	return &frame{text: eventText("leader", leaderEvent{s.Leader, s.Term, s.Epoch})}
}

func (s Standing) members() *frame {
	return &frame{text: eventText("members", membersEvent{s.Epoch, append([]string{}, s.Members...)})}
}

func (s Standing) service() *frame {
	return &frame{text: eventText("service", serviceEvent{s.Running})}
}

// since are the events that lead from was to s.
func (s Standing) since(was Standing) (events []*frame) {
	if s.Leader != was.Leader || s.Term != was.Term {
		events = append(events, s.leader())
	}
	if s.Epoch != was.Epoch || !reflect.DeepEqual(s.Members, was.Members) {
		events = append(events, s.members())
	}
	if s.Running != was.Running {
		events = append(events, s.service())
	}
	for name, r := range map[string][2]*Report{"sync": {was.LastSync, s.LastSync}, "cleanup": {was.LastCleanup, s.LastCleanup}} {
		if r[1] != nil && (r[0] == nil || !r[0].StartedAt.Equal(r[1].StartedAt)) {
			events = append(events, &frame{text: eventText(name, tellReport(r[1]))})
		}
	}
	return events
}
