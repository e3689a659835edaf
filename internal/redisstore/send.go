package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// The bounds of the commits that one run of the script makes: Redis serves nobody else meanwhile.
const (
	commitsAtOnce     = 32
	commitBytesAtOnce = 256 << 10
)

// run is one run of a script: one request, or several commits.
type run struct {
	script   script
	requests []*request
	keys     []string
	args     []any
	bytes    int
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
	}
	return silent
}

// runs puts commits together, except on a Redis Cluster: there a script's keys must be in one slot.
func (s *Store) runs(batch []*request) []*run {
	var runs []*run
	var commits *run
	for i, r := range batch {
		commit := r.script == s.scripts.commit
		together := commit && !s.cluster && commits != nil && len(commits.requests) < commitsAtOnce && commits.bytes+r.bytes <= commitBytesAtOnce
		if !together {
			runs = append(runs, &run{script: r.script, args: make([]any, 0, s.argsFrom(batch[i:]))})
		}
		to := runs[len(runs)-1]
		switch {
		case together:
			to = commits
		case commit:
			commits = to
		}
		if commit {
			to.args = append(to.args, strconv.Itoa(len(r.args)))
		}
		to.requests, to.keys, to.args, to.bytes = append(to.requests, r), append(to.keys, r.keys...), append(to.args, r.args...), to.bytes+r.bytes
	}
	return runs
}

// argsFrom returns the capacity for the arguments of a run that begins with the first of requests: an estimate that is seldom too small.
func (s *Store) argsFrom(requests []*request) (n int) {
	together := 1
	if requests[0].script == s.scripts.commit && !s.cluster {
		together = min(commitsAtOnce, len(requests))
	}
	for _, r := range requests[:together] {
		n += 1 + len(r.args)
	}
	return n
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
		cmds[i] = pipe.EvalSha(ctx, r.script.sha, r.keys, r.args...)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	pipe = s.client.Pipeline()
	for i, r := range runs {
		if unloaded(cmds[i].Err()) {
			cmds[i] = pipe.Eval(ctx, r.script.text, r.keys, r.args...)
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
