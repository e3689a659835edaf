package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// raftLogger gives raft's log to slog.
func raftLogger(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Debug, Output: io.Discard})
	l.RegisterSink(&slogSink{log: log, told: map[string]*telling{}})
	return l
}

// alikeEvery is how often a message that comes again and again is let through: a node that is down is told of twice a
// second by raft.
const alikeEvery = 10 * time.Second

type slogSink struct {
	log *slog.Logger

	mu   sync.Mutex
	told map[string]*telling // by message and peer: as many as raft has messages and the cluster nodes
}

type telling struct {
	last time.Time
	held int // back since
}

// Accept implements hclog.SinkAdapter. Raft speaks of each ordinary start and election as a warning and of each node that
// is down as an error, so all go down by one level; what operators need of them, Node says itself.
func (s *slogSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Error:
		to = slog.LevelWarn
	case hclog.Warn:
		to = slog.LevelInfo
	}
	if !s.log.Enabled(context.Background(), to) {
		return
	}
	for i, arg := range args {
		if f, ok := arg.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	alike, ok := s.seldom(msg, args, time.Now())
	if !ok {
		return
	}
	if alike > 0 {
		args = append(args, "alike", alike)
	}
	s.log.With("component", name).Log(context.Background(), to, msg, args...)
}

// seldom tells whether to log, and how many like it were not.
func (s *slogSink) seldom(msg string, args []any, now time.Time) (alike int, ok bool) {
	key := msg
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "peer" || args[i] == "target" {
			key += fmt.Sprint(args[i+1])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.told[key]
	if t == nil {
		t = &telling{}
		s.told[key] = t
	}
	if !t.last.IsZero() && now.Sub(t.last) < alikeEvery {
		t.held++
		return 0, false
	}
	alike = t.held
	t.last, t.held = now, 0
	return alike, true
}
