package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// send runs a batch's scripts in one pipeline and answers every request. On a Redis Cluster all of them are of one shard. Its error is
// the timeout of the first request if no request was answered.
func (s *Store) send(batch []*request) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	silent := error(nil)
	for i, cmd := range s.evaluate(ctx, batch) {
		err := cmd.Err()
		if i == 0 {
			silent = err
		}
		if !timedOut(err) {
			silent = nil
		}
		reply, err := outcome(cmd)
		batch[i].done <- answer{reply, err}
	}
	return silent
}

// evaluate runs the scripts by their hash, and those that Redis does not have by their text.
func (s *Store) evaluate(ctx context.Context, batch []*request) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(batch))
	pipe := s.client.Pipeline()
	for i, r := range batch {
		cmds[i] = pipe.EvalSha(ctx, r.script.sha, r.keys, r.args...)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	pipe = s.client.Pipeline()
	for i, r := range batch {
		if unloaded(cmds[i].Err()) {
			cmds[i] = pipe.Eval(ctx, r.script.text, r.keys, r.args...)
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
	return cmds
}

// outcome splits a room script's reply into what it decided and what it returns.
func outcome(cmd *redis.Cmd) ([]any, error) {
	if err := cmd.Err(); err != nil {
		return nil, denied(err)
	}
	reply, err := cmd.Slice()
	if err != nil {
		return nil, err
	}
	if len(reply) == 0 {
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
