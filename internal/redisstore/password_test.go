package redisstore_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestAPasswordThatChanges checks that every call reports it while Redis refuses the user, and that no call takes a live room for absent.
// Afterwards the store recovers by itself.
func TestAPasswordThatChanges(t *testing.T) {
	r := redistest.Start(t)
	admin, ctx := r.Client(), t.Context()
	user := func(password string) {
		t.Helper()
		for _, cmd := range [][]any{{"ACL", "SETUSER", "rollcall", "reset", "on", ">" + password, "~*", "&*", "+@all"}, {"CLIENT", "KILL", "USER", "rollcall"}} {
			if err := admin.Do(ctx, cmd...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	user("before")
	s := openOn(t, &redis.UniversalOptions{Addrs: []string{r.Addr}, Username: "rollcall", Password: "before"}, false)
	for _, room := range []string{"a", "b"} {
		committed(t, s, step(room, claimed(t, s, room).Version))
	}
	user("after")
	calls := map[string]func() error{
		"claim":      func() error { _, err := s.Claim(ctx, "a", own); return err },
		"commit":     func() error { _, err := s.Commit(ctx, step("a", 1)); return err },
		"delist":     func() error { return s.Delist(ctx, "a", own, reconcile.Token{}) },
		"index":      func() error { _, err := s.Index(ctx); return err },
		"count":      func() error { _, err := s.Count(ctx); return err },
		"states":     func() error { _, _, err := s.States(ctx, []string{"a", "b"}); return err },
		"generation": func() error { _, err := s.Generation(ctx); return err },
		"scan":       func() error { return s.Reindex(ctx, 0) },
		"scores":     func() error { return s.RepairScores(ctx) },
	}
	for name, call := range calls {
		var err error
		eventually.True(t, "it holds", func() bool { // connections that were killed fail once each
			err = call()
			return err == nil || !isLostConnection(err) && !errors.Is(err, io.ErrUnexpectedEOF)
		})
		if !errors.Is(err, redisstore.ErrDenied) || !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("%s with a password that is no longer valid: %v", name, err)
		}
	}
	names := fmt.Sprint(admin.ZRange(ctx, "rooms:index", 0, -1).Result())
	if names != "[a b] <nil>" {
		t.Errorf("the index afterwards: %s", names)
	}
	user("before")
	eventually.True(t, "it holds", func() bool { _, err := s.Commit(ctx, step("a", 1)); return err == nil })
	if index, err := s.Index(ctx); fmt.Sprint(index, err) != "[a b] <nil>" {
		t.Errorf("the index with the password set back: %v, %v", index, err)
	}
}
