package chaos

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/client"
)

const (
	// lookEvery is how often the watch samples everything, lookWithin how long it waits for one node's answer.
	lookEvery  = 500 * time.Millisecond
	lookWithin = 400 * time.Millisecond
)

// watch samples the whole world at short intervals: who leads, what Redis holds and what is true, how many webhooks succeeded.
type watch struct {
	w      *World
	cancel context.CancelFunc
	done   chan struct{}

	judged map[string]bool // rooms that were found wrong for too long; used only by judge

	mu      sync.Mutex
	samples []Sample
	syncs   []client.Report // completed syncs
	cleaned []client.Report // completed cleanups
	leaders map[uint64]string
}

func newWatch(w *World) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	v := &watch{w: w, cancel: cancel, done: make(chan struct{}), leaders: map[uint64]string{}, judged: map[string]bool{}}
	go v.run(ctx)
	return v
}

func (v *watch) close() {
	v.cancel()
	<-v.done
}

func (v *watch) run(ctx context.Context) {
	defer close(v.done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	ok, failed := v.w.post.counts()
	for {
		s := v.look(ctx)
		nowOK, nowFailed := v.w.post.counts()
		s.OK, s.Failed, ok, failed = nowOK-ok, nowFailed-failed, nowOK, nowFailed
		v.mu.Lock()
		v.samples = append(v.samples, s)
		v.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look takes one sample, without the counts.
func (v *watch) look(ctx context.Context) Sample {
	s := Sample{At: v.w.report.since(time.Now()), Ready: len(v.w.balancer.Ready())}
	for node, status := range v.ask(ctx) {
		if status.Leader == nodeID(node) && status.Term >= s.Term {
			s.Leader, s.Term = status.Leader, status.Term
			v.elected(status.Term, status.Leader)
		}
		if status.LastSync != nil {
			v.completed(&v.syncs, *status.LastSync)
		}
		if status.LastCleanup != nil {
			v.completed(&v.cleaned, *status.LastCleanup)
		}
	}
	if v.w.opts.RealLiveKit {
		return s
	}
	read, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	d, err := v.w.compare(read, false)
	if err != nil {
		s.Wrong, s.Unread = 0, true
		return s
	}
	s.Wrong, s.Rooms = len(d.settled(time.Now(), settledAfter)), d.rooms
	v.judge(d)
	return s
}

// ask asks every node for its status. Nodes that do not answer in time are left out.
func (v *watch) ask(ctx context.Context) map[string]client.Status {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	answers := map[string]client.Status{}
	for _, node := range v.w.running() {
		all.Go(func() {
			c, err := v.w.client(node)
			if err != nil {
				return
			}
			if s, err := c.Status(ctx); err == nil {
				mu.Lock()
				answers[node] = s
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return answers
}

// client returns a client of that node, with its own connections: nodes come and go.
func (w *World) client(service string) (*client.Client, error) {
	return client.New(w.url(service), client.WithToken(token),
		client.WithHTTPClient(&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}))
}

// elected records who claims to lead in a term: at most one node may.
func (v *watch) elected(term uint64, leader string) {
	v.mu.Lock()
	before, known := v.leaders[term]
	v.leaders[term] = leader
	v.mu.Unlock()
	if known && before != leader {
		v.w.violate(3, "in term %d both %s and %s lead", term, before, leader)
	}
}

// forgetTerms is for a raft that is set back: it may use a term a second time.
func (v *watch) forgetTerms() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.leaders)
}

// completed records a sync or a cleanup that is done. No two may overlap, of whichever kind.
func (v *watch) completed(kind *[]client.Report, r client.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.ContainsFunc(*kind, func(c client.Report) bool { return c.StartedAt.Equal(r.StartedAt) }) {
		return
	}
	for _, c := range slices.Concat(v.syncs, v.cleaned) {
		if r.StartedAt.Before(ended(c)) && c.StartedAt.Before(ended(r)) {
			go v.w.violate(3, "two cycles overlap: %+v and %+v", c, r)
		}
	}
	*kind = append(*kind, r)
}

func ended(r client.Report) time.Time {
	return r.StartedAt.Add(time.Duration(r.DurationMs) * time.Millisecond)
}

// after returns the completed syncs that began after t.
func (v *watch) after(t time.Time) []client.Report {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(v.syncs), func(c client.Report) bool { return !c.StartedAt.After(t) })
}

// last returns the newest sample.
func (v *watch) last() Sample {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.samples) == 0 {
		return Sample{}
	}
	return v.samples[len(v.samples)-1]
}

func (v *watch) all() []Sample {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.samples)
}

// judge checks that while nothing is broken no room stays wrong through a complete cycle that began livekitLag after the last
// webhook about it.
func (v *watch) judge(d difference) {
	healed, ok := v.w.report.healedAt()
	if !ok {
		return
	}
	for _, c := range v.after(healed) {
		if c.Result.Errors > 0 || held(c) || d.at.Before(ended(c).Add(secondLook)) {
			continue
		}
		for _, room := range d.stuck(ended(c)) {
			if d.changed[room].Before(c.StartedAt) && !d.due(room).After(c.StartedAt) && !v.judged[room] {
				v.judged[room] = true
				v.w.violate(7, "%s has not changed since %s and is still wrong after the cycle that began at %s: %s", room,
					stamp(d.changed[room]), stamp(c.StartedAt), d.wrong[room])
			}
		}
	}
}

func stamp(t time.Time) string { return t.Format("15:04:05.000") }
