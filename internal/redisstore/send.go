package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// The bounds of the commits that one run of the script makes: Redis serves nobody else meanwhile.
const (
	commitsAtOnce     = 32
	commitBytesAtOnce = 256 << 10
)

// stageFrom is the size in bytes from which a value is stored under a key of its own, which the commit's script renames. A value that goes through
// the script is copied four times, and Lua reads each of its bytes once more to hash it: for 200 KB that took Redis 0.2 ms of each webhook. On a
// Redis Cluster all values go through the script: while a slot moves, new keys of it are stored elsewhere than those that exist.
const stageFrom = 16 << 10

// stagedSeconds is when a value goes that no script has taken, because this node or Redis ended in between.
const stagedSeconds = 60

// staged is a value that is stored before its script runs.
type staged struct {
	key   string
	value []byte
	sent  *redis.Cmd // nil until it is sent
}

// missing returns err, or why the script had no value if that is what err means.
func (v *staged) missing(err error) error {
	var refused reconcile.Refusal
	switch {
	case err == nil || errors.As(err, &refused):
		return err
	case v.sent.Err() != nil:
		return denied(v.sent.Err())
	case strings.Contains(err.Error(), "no such key"):
		return fmt.Errorf("what was stored for this commit is gone: Redis has evicted it (maxmemory-policy must be noeviction), or another one has taken over: %w", err)
	}
	return err
}

// run is one run of a script: one request, or several commits.
type run struct {
	script   script
	requests []*request
	bytes    int
}

// argSpace has slices for the arguments of commands: those of a batch take some KB.
var argSpace = sync.Pool{New: func() any { return new([]any) }}

// release takes the arguments of a command for another one. Nobody may use the command's arguments any more.
func release(cmd *redis.Cmd) {
	args := cmd.Args()
	clear(args)
	args = args[:0]
	argSpace.Put(&args)
}

// command returns EVALSHA of the script's hash, or EVAL of its text. With the library's own methods all arguments would be copied twice.
func (r *run) command(ctx context.Context, verb, script string) *redis.Cmd {
	keys, size := 0, 3
	for _, one := range r.requests {
		keys, size = keys+len(one.keys), size+1+len(one.keys)+len(one.args)
	}
	all := append(slices.Grow(*argSpace.Get().(*[]any), size), verb, script, keys)
	for _, one := range r.requests {
		for _, key := range one.keys {
			all = append(all, key)
		}
	}
	for _, one := range r.requests {
		if r.script.several {
			all = append(all, len(one.args))
		}
		all = append(all, one.args...)
	}
	cmd := redis.NewCmd(ctx, all...)
	cmd.SetFirstKeyPos(3)
	return cmd
}

// send runs a batch's scripts in one pipeline and answers every request. On a Redis Cluster all requests of a batch belong to one shard. It
// returns the timeout of the first request if no request was answered.
func (s *Store) send(batch []*request) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	silent, runs := error(nil), s.runs(batch)
	for i, cmd := range s.runScripts(ctx, runs) {
		err := cmd.Err()
		if i == 0 {
			silent = err
		}
		if !timedOut(err) {
			silent = nil
		}
		runs[i].answer(cmd)
		release(cmd)
	}
	return silent
}

// runs puts commits together, except on a Redis Cluster: there a script's keys must be in one slot.
func (s *Store) runs(batch []*request) []*run {
	var runs []*run
	var commits *run
	for _, r := range batch {
		together := r.script.several && !s.cluster && commits != nil && len(commits.requests) < commitsAtOnce && commits.bytes+r.bytes <= commitBytesAtOnce
		to := commits
		if !together {
			to = &run{script: r.script}
			runs = append(runs, to)
		}
		if r.script.several {
			commits = to
		}
		to.requests, to.bytes = append(to.requests, r), to.bytes+r.bytes
	}
	return runs
}

// answer answers the requests of a run.
func (r *run) answer(cmd *redis.Cmd) {
	replies, err := cmd.Slice()
	if err == nil && r.script.several && len(replies) != len(r.requests) {
		err = fmt.Errorf("%d replies to %d commits", len(replies), len(r.requests))
	}
	for i, request := range r.requests {
		a := answer{err: denied(err)}
		switch {
		case err != nil:
		case r.script.several:
			a.reply, a.err = outcome(replies[i])
			if request.staged != nil {
				a.err = request.staged.missing(a.err)
			}
		default:
			a.reply, a.err = outcome(replies)
		}
		request.done <- a
	}
}

// runScripts runs the scripts by their hash, and by their text those that Redis does not have.
func (s *Store) runScripts(ctx context.Context, runs []*run) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(runs))
	pipe := s.client.Pipeline()
	for i, r := range runs {
		for _, one := range r.requests {
			if one.staged != nil {
				one.staged.sent = redis.NewCmd(ctx, "set", one.staged.key, one.staged.value, "ex", stagedSeconds)
				_ = pipe.Process(ctx, one.staged.sent)
			}
		}
		cmds[i] = r.command(ctx, "evalsha", r.script.sha)
		_ = pipe.Process(ctx, cmds[i]) // it only queues
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	pipe = s.client.Pipeline()
	for i, r := range runs {
		if unloaded(cmds[i].Err()) {
			cmds[i] = r.command(ctx, "eval", r.script.text)
			_ = pipe.Process(ctx, cmds[i])
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
	return cmds
}

// outcome splits a room's reply into the decision and the data.
func outcome(got any) ([]any, error) {
	if err, failed := got.(error); failed {
		return nil, denied(err)
	}
	reply, ok := got.([]any)
	if !ok || len(reply) == 0 {
		return nil, errors.New("an empty reply")
	}
	code, ok := reply[0].(int64)
	switch {
	case !ok || code < 0 || code > int64(reconcile.StaleLeader):
		return nil, fmt.Errorf("an unknown outcome %v", reply[0])
	case code > 0:
		return nil, reconcile.Refusal(code)
	case len(reply) == 1:
		return nil, errors.New("a reply that is cut off")
	}
	return reply[1:], nil
}
