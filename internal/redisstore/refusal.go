package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrForbidden means that Redis answers, but this user may not commit or Redis cannot run the commands; waiting does not help.
	ErrForbidden = errors.New("redis: commits are refused")
	// ErrReplica means that the server is a replica.
	ErrReplica = errors.New("redis: this is a replica, which takes no writes: give the primary's address, or a URL of Sentinel or Cluster that follows it")
	// ErrRefusesWrites means that Redis answers, but takes nobody's writes.
	ErrRefusesWrites = errors.New("redis: it takes no writes")
	// ErrNewer means that a newer build has written the record, in a format that this one does not understand. Fields alone do not change the
	// format: a build leaves those that it does not know as they are.
	ErrNewer = errors.New("written by a newer version of rollcall: upgrade this node to that version or a later one")
	// ErrBusy means that Redis answers, but takes no commits until something there has finished.
	ErrBusy = errors.New("redis: not now")
)

// refusal is a part of Redis' error text, and what it means.
type refusal struct {
	part string
	kind error
	cure string
}

// refusals returns the refusals that come with advice. The first one that matches counts.
func refusals() []refusal {
	const acl = "let its user run the commands and use the keys of docs/security.md"
	const scripts = "rollcall commits by scripts: allow EVAL and EVALSHA there, or use another Redis"
	return []refusal{
		{"READONLY", ErrReplica, ""},
		{"WRONGPASS", ErrDenied, ""},
		{"NOAUTH", ErrDenied, ""},
		{"ERR AUTH", ErrDenied, ""},
		{"MOVED ", ErrClusterNode, ""},
		{"NOPERM", ErrForbidden, acl},
		{"ACL failure", ErrForbidden, acl},
		{"user executing the script can't", ErrForbidden, acl},
		{"unknown command 'eval", ErrForbidden, scripts},
		{"unknown command `eval", ErrForbidden, scripts},
		{"unknown command", ErrForbidden, "rollcall needs Redis 6.2 or later, with this command switched on"},
		{"Unknown Redis command", ErrForbidden, "rollcall needs Redis 6.2 or later, with the commands of docs/security.md switched on"},
		{"OOM ", ErrRefusesWrites, "its memory is full: raise maxmemory, or remove other data"},
		{"MISCONF", ErrRefusesWrites, "it cannot save to its disk: make room there, and look at its log"},
		{"NOREPLICAS", ErrRefusesWrites, "it has fewer replicas than min-replicas-to-write: bring them back"},
		{"LOADING", ErrBusy, "it loads its data: wait"},
		{"MASTERDOWN", ErrBusy, "this replica has lost its primary"},
		{"CLUSTERDOWN", ErrBusy, "the Cluster does not serve this shard: look at CLUSTER INFO, and bring its master or a replica back"},
	}
}

// silent is the error of a Redis that does not answer. Its text begins with the words that the page, the command line and the documents use.
type silent struct {
	within string
	cause  error
}

func (e silent) Error() string { return "Redis does not answer" + e.within + ": " + e.cause.Error() }
func (e silent) Unwrap() error { return e.cause }

// explain adds to the error of a health check what it means and what to do about it.
func explain(err error) error {
	if err == nil || errors.Is(err, ErrClusterNode) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return silent{" within " + tryWithin.String(), err}
	}
	text := strings.ToLower(err.Error())
	for _, r := range refusals() {
		if !strings.Contains(text, strings.ToLower(r.part)) {
			continue
		}
		if r.cure == "" {
			return fmt.Errorf("%w: %w", r.kind, err)
		}
		return fmt.Errorf("%w: %s: %w", r.kind, r.cure, err)
	}
	if answered := redis.Error(nil); !errors.As(err, &answered) {
		return silent{"", err}
	}
	return fmt.Errorf("redis: a try to commit: %w", err)
}

// alike reports whether two results mean the same. Network errors differ each time, by a port number at least, and count as the same.
func alike(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return reply(a) == reply(b)
}

// reply returns what Redis answered, or "" if it did not answer.
func reply(err error) string {
	var answered redis.Error
	if errors.As(err, &answered) || errors.Is(err, ErrClusterNode) || errors.Is(err, errUntried) {
		return err.Error()
	}
	return ""
}
