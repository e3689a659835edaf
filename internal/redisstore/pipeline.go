package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// unanswered is a hook of the client: if no command of a pipeline was answered, it gives the pipeline's error to each of them. go-redis leaves
// them without an error and without a value if Redis refuses the connection itself, as it does once the user's password has changed. Without an
// error the count 0 of EXISTS reads as "no such room".
type unanswered struct{}

// DialHook changes nothing.
func (unanswered) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook changes nothing: a command outside a pipeline has its error.
func (unanswered) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook sets the error of each command, unless at least one has an error: then each has been answered, or go-redis has set its
// error.
func (unanswered) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				return err
			}
		}
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

// deniedCodes are the prefixes of errors by which Redis refuses the user, the password or the command.
var deniedCodes = []string{"WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH"}

// denied wraps an error by which Redis refuses us in ErrDenied, and returns any other unchanged.
func denied(err error) error {
	for _, code := range deniedCodes {
		if err != nil && redis.HasErrorPrefix(err, code) {
			return fmt.Errorf("%w: %w", ErrDenied, err)
		}
	}
	return err
}
