package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

var own = reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}

// step is a commit of a room with one participant, from one version to the next.
func step(room string, from uint64) reconcile.Commit {
	s := &reconcile.State{SID: "RM_1", CreatedAt: 1, Version: from + 1,
		Roster: []*reconcile.Member{reconcile.NewMember(reconcile.Participant{Identity: "u", SID: "PA_u"})}}
	return reconcile.Commit{Room: room, Claim: own, Expect: from, Version: from + 1, Public: reconcile.Write, State: s,
		Changes: []reconcile.Change{{Type: reconcile.RoomSnapshot, SID: "RM_1"}},
		Story:   []reconcile.Change{{Type: reconcile.RoomSnapshot, SID: "RM_1"}}}
}

func claimed(t testing.TB, s *redisstore.Store, room string) reconcile.Record {
	t.Helper()
	rec, err := s.Claim(t.Context(), room, own)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func committed(t testing.TB, s *redisstore.Store, c reconcile.Commit) {
	t.Helper()
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestScriptsAreReloaded(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	committed(t, s, step("a", claimed(t, s, "a").Version))
	for i, lose := range []func(){
		func() { r.Client().ScriptFlush(t.Context()) },
		func() { r.Kill(); r.Restart(true) },
	} {
		lose()
		var wg sync.WaitGroup
		for room := range 20 {
			wg.Go(func() {
				if _, err := s.Claim(t.Context(), fmt.Sprint(room), own); err != nil && !isLostConnection(err) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		committed(t, s, step("a", uint64(i)+1))
		if err := s.RaiseGeneration(t.Context(), uint64(i)); err != nil {
			t.Error(err)
		}
	}
}

// isLostConnection reports whether err is of a pooled connection that ended with the old process: the result is unknown, and the test retries
// it.
func isLostConnection(err error) bool {
	return errors.Is(err, io.EOF) || errors.As(err, new(*net.OpError))
}

func TestNothingOfOthersIsTouched(t *testing.T) {
	r := redistest.Start(t)
	for _, tags := range []bool{false, true} {
		r.Flush()
		ctx, c := t.Context(), r.Client()
		s := open(t, r.Addr, tags)
		c.ZAdd(ctx, "matching:active", redis.Z{Member: "m1"}, redis.Z{Member: "m2"})
		c.Set(ctx, "matching:queue", `["a","b","c"]`, 0)
		c.Set(ctx, "left_behind:u", "1", time.Hour)
		c.HSet(ctx, "rooms", "a", "livekit's")
		c.HSet(ctx, "room_internal", "a", "x")
		c.HSet(ctx, "room_participants:a", "u", "x")
		c.Set(ctx, "roomsandmore", "x", 0)
		c.Set(ctx, "rooms:", "x", 0)
		c.Set(ctx, "rooms:statesandmore", "x", 0)
		c.Set(ctx, "a", "x", 0)
		before := dump(t, c, nil)
		for _, room := range []string{"a", "", "*", "{a}", "\x00", "matching:active", "u"} {
			rec := claimed(t, s, room)
			committed(t, s, step(room, rec.Version))
			gone := reconcile.Commit{Room: room, Claim: own, Expect: 1, Version: 2, Public: reconcile.Remove}
			committed(t, s, gone)
			if err := s.Delist(ctx, room, own, reconcile.Token{}); err != nil {
				t.Error(err)
			}
		}
		active, queue, err := s.Matching(ctx)
		if active != 2 || queue != 3 || err != nil {
			t.Errorf("matching: %d, %d, %v", active, queue, err)
		}
		for _, err := range []error{s.Reindex(ctx, 0), s.RaiseGeneration(ctx, 5)} {
			if err != nil {
				t.Error(err)
			}
		}
		for key, value := range dump(t, c, before) {
			if before[key] != value {
				t.Errorf("%q was changed", key)
			}
		}
		all, err := c.Keys(ctx, "*").Result()
		for _, key := range all {
			if _, others := before[key]; !others && !strings.HasPrefix(key, "rooms:") {
				t.Errorf("a key of ours is called %q (%v)", key, err)
			}
		}
	}
}

// dump serializes keys: those of only, or all if only is nil.
func dump(t *testing.T, c *redis.Client, only map[string]string) map[string]string {
	t.Helper()
	keys, err := c.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	dumps := map[string]string{}
	for _, key := range keys {
		if _, wanted := only[key]; wanted || only == nil {
			dumps[key] = c.Dump(t.Context(), key).Val()
		}
	}
	for key := range only {
		if _, found := dumps[key]; !found {
			t.Errorf("%q has gone", key)
		}
	}
	return dumps
}

// TestIndexWithScores checks that index entries to which others gave a score end lists early, until RepairScores resets them.
func TestIndexWithScores(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	want := []string{"a", "b", "c", "d"}
	for _, room := range want {
		committed(t, s, step(room, claimed(t, s, room).Version))
	}
	list := func() (all []string) {
		for cursor := ""; ; {
			names, next, err := s.Rooms(ctx, cursor, 2, "")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, names...)
			if cursor = next; cursor == "" {
				return all
			}
		}
	}
	c.ZAdd(ctx, "rooms:index", redis.Z{Member: "a", Score: 5}, redis.Z{Member: "d", Score: -1})
	if slices.Equal(list(), want) {
		t.Error("the scores do no harm: is RepairScores needed?")
	}
	if err := s.RepairScores(ctx); err != nil || !slices.Equal(list(), want) {
		t.Errorf("%v, listed %v", err, list())
	}
	c.Del(ctx, "rooms:index")
	c.Set(ctx, "rooms:index", "x", 0)
	if err := s.RepairScores(ctx); err != nil {
		t.Errorf("an index of another type: %v", err)
	}
}

// TestRecordWithoutNumbers checks that a record whose numbers others made unreadable counts as absent, and that the room continues from an empty
// one.
func TestRecordWithoutNumbers(t *testing.T) {
	r := redistest.Start(t)
	s, c := open(t, r.Addr, false), r.Client()
	for _, field := range []string{"gen", "epoch", "inc", "version"} {
		for _, value := range []string{"", "x", "-1", "007", "1.0", "1e3", "18446744073709551616", strings.Repeat("9", 40)} {
			room := field + "=" + value
			committed(t, s, step(room, claimed(t, s, room).Version))
			c.HSet(t.Context(), "rooms:fence:"+room, field, value)
			if _, err := s.Commit(t.Context(), step(room, 1)); !errors.Is(err, reconcile.Conflict) {
				t.Errorf("%q: a commit gives %v", room, err)
			}
			rec := claimed(t, s, room)
			if rec.Version != 0 || !rec.Altered {
				t.Errorf("%q: version %d, altered %t", room, rec.Version, rec.Altered)
			}
			committed(t, s, step(room, rec.Version))
		}
	}
}

// TestARecordOfANewerFormatIsNotRead shows that a field that this build does not know stays in a record, and that a record of a format that it
// does not know is left as it is, with an error that says what to do.
func TestARecordOfANewerFormatIsNotRead(t *testing.T) {
	r := redistest.Start(t)
	s, c := open(t, r.Addr, false), r.Client()
	committed(t, s, step("a", claimed(t, s, "a").Version))
	c.HSet(t.Context(), "rooms:fence:a", "later", "1", "format", recordFormatKnown)
	rec := claimed(t, s, "a")
	committed(t, s, step("a", rec.Version))
	if got := c.HGet(t.Context(), "rooms:fence:a", "later").Val(); rec.Version != 1 || rec.Altered || got != "1" {
		t.Errorf("with a field of another build: version %d, altered %t; the field is then %q", rec.Version, rec.Altered, got)
	}
	c.HSet(t.Context(), "rooms:fence:a", "format", recordFormatKnown+1)
	before := c.HGetAll(t.Context(), "rooms:fence:a").Val()
	_, err := s.Claim(t.Context(), "a", reconcile.Claim{Generation: 9, Epoch: 1, Incarnation: 1})
	if !errors.Is(err, redisstore.ErrNewer) || !strings.Contains(err.Error(), "upgrade this node") {
		t.Errorf("a record of a newer format: %v", err)
	}
	after := c.HGetAll(t.Context(), "rooms:fence:a").Val()
	for field, value := range before {
		if !slices.Contains([]string{"gen", "epoch", "inc"}, field) && after[field] != value {
			t.Errorf("%s was %q and is %q", field, value, after[field])
		}
	}
}

// recordFormatKnown is the newest format of records that this build understands.
const recordFormatKnown = 1

func TestMatchingByType(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	key := "matching:active"
	for name, set := range map[string]struct {
		up   func()
		want int64
	}{
		"absent":     {func() {}, 0},
		"set":        {func() { c.SAdd(ctx, key, 1, 2) }, 2},
		"list":       {func() { c.RPush(ctx, key, 1, 1, 1) }, 3},
		"sorted set": {func() { c.ZAdd(ctx, key, redis.Z{Member: 1}) }, 1},
		"hash":       {func() { c.HSet(ctx, key, "a", 1, "b", 2) }, 2},
		"stream":     {func() { c.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"a", 1}}) }, 1},
		"array":      {func() { c.Set(ctx, key, `[{"a":1},2]`, 0) }, 2},
		"object":     {func() { c.Set(ctx, key, `{"a":1}`, 0) }, 0},
		"not JSON":   {func() { c.Set(ctx, key, `[`, 0) }, 0},
		"null":       {func() { c.Set(ctx, key, `null`, 0) }, 0},
	} {
		c.Del(ctx, key)
		set.up()
		if active, queue, err := s.Matching(ctx); active != set.want || queue != 0 || err != nil {
			t.Errorf("%s: %d, %d, %v", name, active, queue, err)
		}
	}
}

func TestHungRedis(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	version := claimed(t, s, "a").Version
	r.Pause()
	began := time.Now()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			c := step(fmt.Sprintf("room %d", i), 0)
			if i == 0 {
				c = step("a", version)
			}
			if _, err := s.Commit(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a commit to a hung Redis: %v", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("callers waited %v past their contexts", took)
	}
	// A caller that waits longer gets the error of the batch's own deadline.
	if _, err := s.Claim(t.Context(), "b", own); err == nil || !strings.Contains(err.Error(), `claim of room "b"`) {
		t.Errorf("a claim on a hung Redis: %v", err)
	}
	if took := time.Since(began); took > 2*redisstore.Patience+time.Second {
		t.Errorf("the batch waited %v", took)
	}
	r.Resume()
	// The commit that was stuck may have succeeded; a claim finds out.
	rec := claimed(t, s, "a")
	if rec.Version > version+1 {
		t.Errorf("version %d", rec.Version)
	}
	committed(t, s, step("a", rec.Version))
}

func TestRedisDownAndUp(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	committed(t, s, step("a", claimed(t, s, "a").Version))
	r.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := s.Commit(ctx, step("a", 1))
	var refusal reconcile.Refusal
	if err == nil || errors.As(err, &refusal) {
		t.Fatalf("a commit without Redis: %v", err)
	}
	if err := s.Ping(ctx); err == nil {
		t.Error("ping without Redis")
	}
	r.Restart(true)
	eventually.True(t, "it holds", func() bool {
		rec, err := s.Claim(t.Context(), "a", own)
		return err == nil && rec.Version == 1
	})
	r.Restart(false)
	eventually.True(t, "it holds", func() bool {
		_, err := s.Commit(t.Context(), step("a", 1))
		return errors.Is(err, reconcile.Conflict)
	})
	if rec := claimed(t, s, "a"); rec.Version != 0 || rec.State != nil {
		t.Errorf("after all was lost: %+v", rec)
	}
}

func TestIndexesAndFeedOfAWrongType(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	for _, key := range []string{"rooms:index", "rooms:events", "rooms:generation"} {
		c.SAdd(ctx, key, "foreign")
	}
	if names, err := s.Index(ctx); len(names) > 0 || err != nil {
		t.Errorf("index: %v, %v", names, err)
	}
	if g, err := s.Generation(ctx); g != 0 || err != nil {
		t.Errorf("generation: %v, %v", g, err)
	}
	if err := s.RaiseGeneration(ctx, 7); err != nil {
		t.Error(err)
	}
	for _, room := range []string{"a", "b"} {
		committed(t, s, step(room, claimed(t, s, room).Version))
	}
	committed(t, s, reconcile.Commit{Room: "a", Claim: own, Expect: 1, Version: 2, Public: reconcile.Remove})
	names, err := s.Index(ctx)
	g, _ := s.Generation(ctx)
	if fmt.Sprint(names, err, g, c.XLen(ctx, "rooms:events").Val()) != "[b] <nil> 7 2" {
		t.Errorf("afterwards: %v, %v, %d", names, err, g)
	}
}

func TestOutOfMemoryWritesNothing(t *testing.T) {
	r := redistest.Start(t)
	for _, stages := range []bool{false, true} {
		r.Flush()
		s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
		if stages {
			s.StageAll()
		}
		committed(t, s, step("a", claimed(t, s, "a").Version))
		before := dump(t, c, nil)
		c.ConfigSet(ctx, "maxmemory", "1")
		if _, err := s.Commit(ctx, step("a", 1)); err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("a write without memory: %v", err)
		}
		for key, value := range dump(t, c, before) {
			if before[key] != value {
				t.Errorf("%q was changed", key)
			}
		}
		committed(t, s, reconcile.Commit{Room: "a", Claim: own, Expect: 1, Version: 2, Public: reconcile.Remove})
		c.ConfigSet(ctx, "maxmemory", "0")
		if rec := claimed(t, s, "a"); rec.Version != 2 || rec.State != nil || rec.Altered {
			t.Errorf("a removal without memory: %+v", rec)
		}
	}
}

// TestAStagedStateThatIsNotThere commits a state that its script cannot take, because the user may not rename or write its key. Nothing may be
// written.
func TestAStagedStateThatIsNotThere(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	s.StageAll()
	committed(t, s, step("a", claimed(t, s, "a").Version))
	for name, c := range map[string]struct{ forbid, allow []any }{
		"may not rename": {[]any{"acl", "setuser", "default", "-rename"}, []any{"acl", "setuser", "default", "+rename"}},
		"may not set":    {[]any{"acl", "setuser", "default", "-set"}, []any{"acl", "setuser", "default", "+set"}},
		"may not use it": {[]any{"acl", "setuser", "default", "resetkeys", "~rooms:[^s]*", "~rooms:states:*"}, []any{"acl", "setuser", "default", "allkeys"}},
	} {
		before := dump(t, r.Client(), nil)
		if err := r.Client().Do(ctx, c.forbid...).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(ctx, step("a", 1)); !errors.Is(err, redisstore.ErrDenied) && (err == nil || !strings.Contains(err.Error(), "can't run")) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Client().Do(ctx, c.allow...).Err(); err != nil {
			t.Fatal(err)
		}
		after := dump(t, r.Client(), nil)
		for key, value := range before {
			if after[key] != value {
				t.Errorf("%s: %q was changed", name, key)
			}
		}
	}
	for _, key := range c.Keys(ctx, "rooms:staged:*").Val() {
		if left := c.TTL(ctx, key).Val(); left <= 0 || left > time.Minute {
			t.Errorf("a staged state stays for %v", left)
		}
	}
	committed(t, s, step("a", 1))
}

func TestFeedIsCappedAndEndsWithItsRoom(t *testing.T) {
	r := redistest.Start(t)
	o := &redis.UniversalOptions{Addrs: []string{r.Addr}}
	redisstore.Harden(o)
	s, err := redisstore.Open(redisstore.Options{Client: redis.NewUniversalClient(o), HashTags: true, Feed: true, FeedMax: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	claimed(t, s, "a")
	const commits = 500
	for v := range uint64(commits) {
		committed(t, s, step("a", v))
	}
	ctx, c, stream := t.Context(), r.Client(), "rooms:events:{a}"
	if n := c.XLen(ctx, stream).Val(); n < 100 || n > 250 {
		t.Errorf("%d entries, want about 100", n)
	}
	if ttl := c.TTL(ctx, stream).Val(); ttl != -1 {
		t.Errorf("a live room's feed ends in %v", ttl)
	}
	committed(t, s, reconcile.Commit{Room: "a", Claim: own, Expect: commits, Version: commits + 1, Public: reconcile.Remove})
	if ttl := c.TTL(ctx, stream).Val(); ttl < 23*time.Hour || ttl > 24*time.Hour {
		t.Errorf("a gone room's feed ends in %v", ttl)
	}
	committed(t, s, step("a", commits+1))
	if ttl := c.TTL(ctx, stream).Val(); ttl != -1 {
		t.Errorf("the feed of a room that came back ends in %v", ttl)
	}
}

func TestOpen(t *testing.T) {
	m := miniredis.RunT(t)
	m.RequireAuth("hunter2")
	open := func(o redis.UniversalOptions, harden, tags bool) (*redisstore.Store, error) {
		o.Addrs = []string{m.Addr()}
		if harden {
			redisstore.Harden(&o)
		}
		c := redis.NewUniversalClient(&o)
		t.Cleanup(func() { _ = c.Close() })
		return redisstore.Open(redisstore.Options{Client: c, HashTags: tags, Log: slog.New(slog.DiscardHandler)})
	}
	if _, err := open(redis.UniversalOptions{Password: "hunter2"}, false, false); err == nil {
		t.Error("a client that retries is accepted")
	}
	if _, err := open(redis.UniversalOptions{Password: "hunter2", IsClusterMode: true}, true, false); err == nil {
		t.Error("a cluster without hash tags is accepted")
	}
	s, err := open(redis.UniversalOptions{Password: "hunter3"}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, redisstore.ErrDenied) || strings.Contains(err.Error(), "hunter") {
		t.Errorf("a wrong password: %v", err)
	}
	s, err = open(redis.UniversalOptions{Password: "hunter2"}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if policy, err := s.MaxmemoryPolicy(t.Context()); err != nil || policy == "" {
		t.Errorf("policy: %q, %v", policy, err) // miniredis has no CONFIG
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Claim(t.Context(), "a", own); err == nil {
		t.Error("a closed store claims")
	}
}

// TestANodeOfAClusterIsNoSingleRedis checks with both protocol versions that the error stays until there is a single Redis.
func TestANodeOfAClusterIsNoSingleRedis(t *testing.T) {
	r := redistest.Start(t, "--cluster-enabled", "yes")
	for _, protocol := range []int{2, 3} {
		s := openOn(t, &redis.UniversalOptions{Addrs: []string{r.Addr}, Protocol: protocol}, false)
		for range 2 {
			if err := s.Ping(t.Context()); !errors.Is(err, redisstore.ErrClusterNode) {
				t.Errorf("protocol %d: %v", protocol, err)
			}
		}
	}
	s := openOn(t, &redis.UniversalOptions{Addrs: []string{r.Addr}, IsClusterMode: true}, true)
	if err := s.Ping(t.Context()); errors.Is(err, redisstore.ErrClusterNode) {
		t.Errorf("a client for a Cluster: %v", err)
	}
	single := redistest.Start(t)
	old := open(t, single.Addr, false)
	single.Client().Do(t.Context(), "ACL", "SETUSER", "default", "-hello")
	if err := old.Ping(t.Context()); err != nil {
		t.Errorf("a server that does not tell: %v", err)
	}
}

func TestMaxmemoryPolicy(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.Addr, false)
	if policy, err := s.MaxmemoryPolicy(t.Context()); policy != "noeviction" || err != nil {
		t.Errorf("%q, %v", policy, err)
	}
	r.Client().ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru")
	r.Client().Do(t.Context(), "ACL", "SETUSER", "default", "-config")
	if policy, err := s.MaxmemoryPolicy(t.Context()); policy != "volatile-lru" || err != nil {
		t.Errorf("without CONFIG: %q, %v", policy, err)
	}
	r.Client().Do(t.Context(), "ACL", "SETUSER", "default", "-info")
	if policy, err := s.MaxmemoryPolicy(t.Context()); policy != redisstore.UnknownPolicy || err != nil {
		t.Errorf("without permission to ask: %q, %v", policy, err)
	}
	r.Stop()
	if _, err := s.MaxmemoryPolicy(t.Context()); err == nil {
		t.Error("it has a policy without a Redis")
	}
}
