package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// replayPage is how many changes one read examines for a watcher that comes back, and replayBytes how many bytes it
	// returns, unless a single change has more.
	replayPage  = 1000
	replayBytes = 1 << 20
	// replayEntries and replayLooked limit how far behind such a watcher may be, in changes of all rooms and in their bytes.
	replayEntries = 10_000
	replayLooked  = 64 << 20
	// replayCopies is how many copies of a change are in memory until it is a frame: as Redis sent it, as a FeedEntry, and
	// as the frame.
	replayCopies = 3
)

// events answers GET /api/events with a stream. It ends when the watcher disconnects, is too slow, or has been connected for
// Limits.Watch (its token is then checked again), or when the node stops.
func (a *api) events(c *call) (any, error) {
	if c.query.Has("room") && c.room == "" {
		return nil, refuse(http.StatusBadRequest, "room must not be empty")
	}
	h := c.w.Header()
	h.Set("X-Accel-Buffering", "no")
	if c.r.Method == http.MethodHead {
		h.Set("Content-Type", "text/event-stream")
		c.w.WriteHeader(http.StatusOK)
		return nil, nil
	}
	if !a.watching.take(c.who, 1) {
		return nil, a.tooManyStreams(c.who)
	}
	defer a.watching.give(c.who, 1)
	s, err := a.beginStream(c)
	if err != nil {
		return nil, unwatchable(err)
	}
	defer a.hub.leave(s.watcher)
	h.Set("Content-Type", "text/event-stream")
	h.Del("Content-Length")
	c.w.WriteHeader(http.StatusOK)
	s.run()
	return nil, nil
}

// tooManyStreams returns the problem of a caller who may open no further stream now.
func (a *api) tooManyStreams(who caller) error {
	own, all, limit := a.watching.usage(who)
	text := fmt.Sprintf("%d streams of events are open on this node, which serves at most %d to such callers: let one stream serve several viewers, or use another node", all, limit)
	if own >= a.watching.each {
		text = fmt.Sprintf("%d streams of events of this identity are open on this node, which is the most for one: let one stream serve several viewers, or close some", own)
	}
	return &problem{status: http.StatusServiceUnavailable, retry: 4, text: text, cause: ErrBusy}
}

// unwatchable returns the problem of a stream that cannot begin.
func unwatchable(err error) error {
	if errors.Is(err, ErrBusy) {
		return ErrBusy
	}
	return &problem{status: http.StatusServiceUnavailable, retry: soon, text: "The changes cannot be followed now; try again shortly", cause: err}
}

// stream is the stream of one watcher.
type stream struct {
	*call
	api     *api
	watcher *watcher
	secret  bool     // the watcher may not learn about other rooms' changes, so it is sent ids of its own kind
	resumes bool     // the watcher says after which change it continues
	start   string   // the id with which it begins if it does not resume
	after   string   // the id of the change up to which it has been served
	skip    position // how many of the room's changes of one millisecond it already has
	nth     ordinals
	missed  []*frame // sent to it first
	more    bool     // others follow after missed
	behind  int      // how many changes were examined for it
	looked  int64    // how many bytes were examined for it
	first   []*frame // the cluster status
}

// beginStream does everything that can fail before the answer begins.
func (a *api) beginStream(c *call) (*stream, error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	given := c.r.Header.Get("Last-Event-ID")
	s := &stream{call: c, api: a, after: given, resumes: given != "", secret: c.who.rank == readsRoom}
	s.w.stall = 0 // a write has Limits.Heartbeat
	if !s.resumes {
		last, now, err := a.ports.Live.Last(ctx)
		if err != nil {
			return nil, err
		}
		s.start, s.after = last, last
		if s.secret {
			s.start = position{ms: uint64(max(now, 0))}.id()
		}
	} else if p, ok := positionOf(given); ok {
		if s.after = p.before(); s.room != "" {
			s.skip = p
		}
	}
	var err error
	if s.watcher, err = a.hub.join(ctx, c.room, c.w.interrupt); err != nil {
		return nil, err
	}
	if s.resumes {
		err = s.read(ctx)
	}
	if c.room == "" && err == nil {
		var now ClusterStatus
		now, err = a.ports.Live.Now()
		s.first = []*frame{now.leader(), now.members(), now.service()}
	}
	if err != nil {
		a.hub.leave(s.watcher)
		return nil, err
	}
	return s, nil
}

func (s *stream) run() {
	begin := ": rollcall\n\n"
	if !s.resumes {
		begin = "id: " + s.start + "\n\n" // not an event: it says where to continue if the stream breaks before the first change
	}
	if s.write([]byte(begin)) != nil {
		return
	}
	for _, f := range s.first {
		if s.send(f) != nil {
			return
		}
	}
	if s.replay() != nil {
		return
	}
	if s.need(0) == nil {
		s.follow()
	}
}

// read reads a page of what the watcher missed. Few streams read at once, and the memory is reserved before the read.
// Errors: ErrBusy, or the port's.
func (s *stream) read(ctx context.Context) error {
	if err := s.api.replays.wait(ctx, s.who, 1); err != nil {
		return err
	}
	defer s.api.replays.give(s.who, 1)
	var part reconcile.FeedPart
	for space := int64(replayBytes); ; space = part.Needs {
		if err := s.need(replayCopies * space); err != nil {
			return err
		}
		var err error
		part, err = s.api.ports.Live.Since(ctx, reconcile.FeedQuery{After: s.after, OneRoom: s.room != "", Room: s.room, Entries: replayPage, Bytes: space})
		if err != nil {
			return err
		}
		if part.Needs <= space {
			break
		}
	}
	s.after, s.more = part.Last, part.More
	s.behind, s.looked = s.behind+part.Looked, s.looked+part.Bytes
	s.missed = s.missed[:0]
	size := int64(0)
	for i, c := range part.Changes {
		nth := s.nth.of(c)
		if s.room != "" && c.Room != s.room || s.has(c.ID, nth) {
			continue
		}
		f := frameOf(c)
		f.nth = nth
		s.missed, size = append(s.missed, f), size+int64(len(f.text))
		part.Changes[i] = reconcile.FeedEntry{}
	}
	return s.need(size)
}

// has reports whether the watcher already has the room's nth change of that millisecond, according to the id that it sent.
func (s *stream) has(id string, nth uint64) bool {
	ms, _, ok := numbersOf(id)
	return ok && s.skip.nth > 0 && ms == s.skip.ms && nth <= s.skip.nth
}

// replay sends what the watcher missed, page by page.
func (s *stream) replay() error {
	for {
		for i, f := range s.missed {
			if err := s.send(f); err != nil {
				return err
			}
			s.missed[i] = nil
		}
		s.missed = s.missed[:0]
		if !s.more {
			return nil
		}
		if s.behind >= replayEntries || s.looked >= replayLooked {
			return s.write([]byte(": too far behind: changes are left out, read the rooms again\n\n"))
		}
		ctx, cancel := context.WithTimeout(s.r.Context(), s.api.limits.Read)
		err := s.read(ctx)
		cancel()
		if err != nil {
			return errors.Join(err, s.write([]byte(": connect again\n\n"))) // and continue after the last change received
		}
	}
}

// follow sends events as they happen. Changes that were replayed may be queued here again; they are skipped.
func (s *stream) follow() {
	beat := time.NewTicker(s.api.limits.Heartbeat)
	defer beat.Stop()
	end := time.NewTimer(s.api.limits.Watch)
	defer end.Stop()
	for {
		select {
		case f := <-s.watcher.frames:
			var err error
			if f.id == "" || follows(f.id, s.after) {
				err = s.send(f)
			}
			s.api.hub.done(s.watcher)
			if err != nil {
				return
			}
		case <-beat.C:
			if s.write([]byte(":\n\n")) != nil {
				return
			}
		case <-s.watcher.cut:
			_ = s.write([]byte(": " + s.watcher.why + "\n\n")) // it is cut off, whether this reaches it or not
			return
		case <-end.C:
			_ = s.write([]byte(": connect again\n\n"))
			return
		case <-s.r.Context().Done():
			return
		}
	}
}

// send writes an event, with the id that this watcher may see.
func (s *stream) send(f *frame) error {
	id := f.id
	if ms, _, ok := numbersOf(id); ok && s.secret {
		id = position{ms, f.nth}.id()
	}
	if id != "" {
		s.writeWithin(s.api.limits.Heartbeat)
		if _, err := s.w.Write([]byte("id: " + id + "\n")); err != nil {
			return err
		}
	}
	return s.write(f.text)
}

// write sends text at once, or fails after Limits.Heartbeat.
func (s *stream) write(text []byte) error {
	s.writeWithin(s.api.limits.Heartbeat)
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	err := http.NewResponseController(&s.w).Flush()
	s.w.rest()
	return err
}

// follows reports whether the id of a change is after another's. Any id is after a malformed one.
func follows(id, than string) bool {
	ms, n, ok := numbersOf(id)
	thanMs, thanN, known := numbersOf(than)
	return !ok || !known || ms > thanMs || ms == thanMs && n > thanN
}

// numbersOf returns the two numbers of an id.
func numbersOf(id string) (ms, n uint64, ok bool) {
	first, second, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseUint(first, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	n, err = strconv.ParseUint(second, 10, 64)
	return ms, n, err == nil
}
