package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
)

// send runs a batch's scripts in one pipeline and answers every request. Rooms enter the index before their keys are
// written, lest a crash between the two hides them, and once more after: an owner that was overtaken may have taken the
// room off the index meanwhile (leave says how the two meet).
func (s *Store) send(batch []*request) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var listed []string
	for _, r := range batch {
		if r.list {
			listed = append(listed, r.room)
		}
	}
	if s.cluster && len(listed) > 0 {
		if err := s.list(ctx, listed); err != nil {
			for _, r := range batch {
				r.done <- answer{err: err}
			}
			return
		}
	}
	var off []settled
	for i, cmd := range s.evaluate(ctx, batch, listed) {
		one := settled{request: batch[i]}
		one.reply, one.err = outcome(cmd)
		var refused reconcile.Refusal
		if one.err == nil && one.unlist || one.list && errors.As(one.err, &refused) {
			off = append(off, one)
			continue
		}
		one.done <- one.answer
	}
	if len(off) == 0 {
		return
	}
	s.leave(ctx, off)
	for _, one := range off {
		one.done <- one.answer
	}
}

// evaluate runs the scripts by their hash, and those that Redis does not have by their text. On one Redis a pipeline has an
// order, and the index is added to in the same one.
func (s *Store) evaluate(ctx context.Context, batch []*request, listed []string) []*redis.Cmd {
	cmds := make([]*redis.Cmd, len(batch))
	inside := len(listed) > 0 && !s.cluster
	var added *redis.IntCmd
	pipe := s.client.Pipeline()
	if inside {
		pipe.ZAdd(ctx, indexKey, entries(listed)...)
	}
	for i, r := range batch {
		cmds[i] = pipe.EvalSha(ctx, r.script.sha, r.keys, r.args...)
	}
	if inside {
		added = pipe.ZAdd(ctx, indexKey, entries(listed)...)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	reloaded := s.reload(ctx, batch, cmds)
	if len(listed) > 0 && (reloaded || !inside) {
		added = s.client.ZAdd(ctx, indexKey, entries(listed)...)
	}
	if added != nil && wrongType(added.Err()) {
		s.relist(ctx, listed, added.Err())
	}
	return cmds
}

// reload tells whether there were any that Redis did not have.
func (s *Store) reload(ctx context.Context, batch []*request, cmds []*redis.Cmd) bool {
	pipe := s.client.Pipeline()
	for i, r := range batch {
		if unloaded(cmds[i].Err()) {
			cmds[i] = pipe.Eval(ctx, r.script.text, r.keys, r.args...)
		}
	}
	if pipe.Len() == 0 {
		return false
	}
	_, _ = pipe.Exec(ctx)
	return true
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
