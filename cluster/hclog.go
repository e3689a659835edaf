package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// raftLogger returns a logger that writes raft's log to slog.
func raftLogger(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Debug, Output: io.Discard})
	l.RegisterSink(&slogSink{log: log, recent: map[string]*repeated{}})
	return l
}

// repeatEvery is the least time between two repetitions of a message. Raft logs a node that is down twice a second.
const repeatEvery = 10 * time.Second

type slogSink struct {
	log *slog.Logger

	mu     sync.Mutex
	recent map[string]*repeated // by message and peer, so its size is limited by raft's messages times the nodes
}

type repeated struct {
	last time.Time
	held int // suppressed since then
}

// Accept implements hclog.SinkAdapter. It lowers each message by one level, because raft logs ordinary starts and elections as warnings and a
// node that is down as an error, and further those that come with this node's own stop. What operators need to know, Node logs itself.
func (s *slogSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Error:
		to = slog.LevelWarn
	case hclog.Warn:
		to = slog.LevelInfo
	}
	if slices.ContainsFunc(args, func(arg any) bool { err, ok := arg.(error); return ok && errors.Is(err, raft.ErrTransportShutdown) }) {
		to = slog.LevelDebug
	}
	if !s.log.Enabled(context.Background(), to) {
		return
	}
	for i, arg := range args {
		if f, ok := arg.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	suppressed, ok := s.repeated(msg, args, time.Now())
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	s.log.With("component", name).Log(context.Background(), to, msg, args...)
}

// repeated reports in ok whether to log the message, and returns how many messages like it were suppressed before.
func (s *slogSink) repeated(msg string, args []any, now time.Time) (suppressed int, ok bool) {
	key := msg
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "peer" || args[i] == "target" {
			key += fmt.Sprint(args[i+1])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.recent[key]
	if t == nil {
		t = &repeated{}
		s.recent[key] = t
	}
	if !t.last.IsZero() && now.Sub(t.last) < repeatEvery {
		t.held++
		return 0, false
	}
	suppressed = t.held
	t.last, t.held = now, 0
	return suppressed, true
}
