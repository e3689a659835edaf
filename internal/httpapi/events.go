package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// replayPage is how many changes one read for a watcher who comes back brings, replayPages how many reads there are.
	replayPage  = 1000
	replayPages = 10
)

// events answers GET /api/events with a stream that ends when the watcher goes, is too slow, has had Limits.Watch (his token
// is then judged again), or the node stops.
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
	if !a.watching.take() {
		return nil, ErrBusy
	}
	defer a.watching.leave()
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

// unwatchable answers a stream that cannot begin.
func unwatchable(err error) error {
	return &problem{status: http.StatusServiceUnavailable, retry: soon, text: "The changes cannot be followed now; try again shortly", cause: err}
}

// stream is one watcher's.
type stream struct {
	*call
	api     *api
	watcher *watcher
	resumes bool     // the watcher says after which change it goes on
	after   string   // the last change that went out, or that there was before
	missed  []Change // since then
	more    bool     // and others after those
	first   []frame  // how the cluster stands
}

// beginStream does all that can fail before the answer begins.
func (a *api) beginStream(c *call) (*stream, error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), a.limits.Read)
	defer cancel()
	s := &stream{call: c, api: a, after: c.r.Header.Get("Last-Event-ID"), resumes: c.r.Header.Get("Last-Event-ID") != ""}
	var err error
	if !s.resumes {
		s.after, err = a.ports.Live.Last(ctx)
	}
	if err != nil {
		return nil, err
	}
	if s.watcher, err = a.hub.join(ctx, c.room); err != nil {
		return nil, err
	}
	if s.resumes {
		s.missed, s.more, err = a.ports.Live.Since(ctx, s.after, replayPage)
	}
	if c.room == "" && err == nil {
		var now Standing
		now, err = a.ports.Live.Standing()
		s.first = []frame{now.leader(), now.members(), now.service()}
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
		begin = "id: " + s.after + "\n\n" // no event: it is where to go on if the stream breaks before the first change
	}
	if s.write([]byte(begin)) != nil {
		return
	}
	for _, f := range s.first {
		if s.write(f.text) != nil {
			return
		}
	}
	if s.replay() != nil {
		return
	}
	s.missed = nil
	s.follow()
}

// replay sends what the watcher missed, page by page.
func (s *stream) replay() error {
	for page := 1; ; page++ {
		for _, change := range s.missed {
			if s.after = change.ID; s.room != "" && change.Room != s.room {
				continue
			}
			if err := s.write(frameOf(change).text); err != nil {
				return err
			}
		}
		if !s.more {
			return nil
		}
		if page == replayPages {
			return s.write([]byte(": too far behind: changes are left out, read the rooms anew\n\n"))
		}
		ctx, cancel := context.WithTimeout(s.r.Context(), s.api.limits.Read)
		var err error
		s.missed, s.more, err = s.api.ports.Live.Since(ctx, s.after, replayPage)
		cancel()
		if err != nil {
			return err // it connects again, and goes on from the last that it got
		}
	}
}

// follow sends what happens. What was replayed may wait here once more.
func (s *stream) follow() {
	beat := time.NewTicker(s.api.limits.Heartbeat)
	defer beat.Stop()
	end := time.NewTimer(s.api.limits.Watch)
	defer end.Stop()
	for {
		text := []byte(":\n\n")
		select {
		case f := <-s.watcher.frames:
			if f.id != "" && !follows(f.id, s.after) {
				continue
			}
			text = f.text
		case <-beat.C:
		case <-s.watcher.cut:
			_ = s.write([]byte(": " + s.watcher.why + "\n\n")) // it is cut off, whether it hears of it or not
			return
		case <-end.C:
			_ = s.write([]byte(": connect again\n\n"))
			return
		case <-s.r.Context().Done():
			return
		}
		if s.write(text) != nil {
			return
		}
	}
}

// write sends at once, or fails in the time that one may take to fetch it.
func (s *stream) write(text []byte) error {
	s.writeWithin(s.api.limits.Heartbeat)
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}

// follows tells whether a change's id is after another's. Any id is after one that is none.
func follows(id, than string) bool {
	var ms, n, thanMs, thanN uint64
	if _, err := fmt.Sscanf(than, "%d-%d", &thanMs, &thanN); err != nil {
		return true
	}
	if _, err := fmt.Sscanf(id, "%d-%d", &ms, &n); err != nil {
		return true
	}
	return ms > thanMs || ms == thanMs && n > thanN
}
