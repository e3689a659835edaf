package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Redis implements Meddler on a Redis through Client. It spells out the key names itself, as documented in docs/api.md.
type Redis struct {
	T      *testing.T
	Client redis.UniversalClient
	Tags   bool
	// Prefix begins every key; "" is rooms:.
	Prefix string
	// Clock advances the server's clock. It is nil where that is impossible; then stored times are moved back instead.
	Clock func(time.Duration)
}

// Key returns the name of a room's key.
func (r Redis) Key(k memstore.Key, room string) string {
	if !r.Tags {
		return r.prefix() + string(k) + ":" + room
	}
	switch {
	case room == "":
		room = "%"
	case strings.HasPrefix(room, "}"):
		room = "%7D" + room[1:]
	case strings.HasPrefix(room, "%"):
		room = "%25" + room[1:]
	}
	return r.prefix() + string(k) + ":{" + room + "}"
}

func (r Redis) prefix() string { return cmp.Or(r.Prefix, "rooms:") }

// Get returns a string key's value, and false if it is missing or of another type.
func (r Redis) Get(k memstore.Key, room string) (string, bool) {
	v, err := r.Client.Get(r.T.Context(), r.Key(k, room)).Result()
	return v, err == nil
}

// Set sets a key.
func (r Redis) Set(k memstore.Key, room, text string) {
	r.T.Helper()
	r.ok(r.Client.Set(r.T.Context(), r.Key(k, room), text, 0).Err())
}

// WrongType makes a key a set.
func (r Redis) WrongType(k memstore.Key, room string) {
	r.T.Helper()
	r.Delete(k, room)
	r.ok(r.Client.SAdd(r.T.Context(), r.Key(k, room), "x").Err())
}

// Delete removes a key.
func (r Redis) Delete(k memstore.Key, room string) {
	r.T.Helper()
	r.ok(r.Client.Del(r.T.Context(), r.Key(k, room)).Err())
}

// Expire gives a key an hour to live.
func (r Redis) Expire(k memstore.Key, room string) {
	r.T.Helper()
	r.ok(r.Client.Expire(r.T.Context(), r.Key(k, room), time.Hour).Err())
}

// Unlist removes a room from the index.
func (r Redis) Unlist(room string) {
	r.T.Helper()
	r.ok(r.nodes(func(ctx context.Context, node *redis.Client) error {
		keys, err := node.Keys(ctx, r.prefix()+"index*").Result() // on a Redis Cluster there is one index for each slot
		for _, key := range keys {
			err = errors.Join(err, node.ZRem(ctx, key, room).Err())
		}
		return err
	}))
}

// RecordLife returns the TTL of a room's record.
func (r Redis) RecordLife(room string) (time.Duration, bool) {
	r.T.Helper()
	if kind := r.Client.Type(r.T.Context(), r.Key(memstore.Fence, room)).Val(); kind != "hash" {
		return 0, false
	}
	ttl, err := r.Client.PTTL(r.T.Context(), r.Key(memstore.Fence, room)).Result()
	r.ok(err)
	return max(ttl, 0), true
}

// Feed returns a room's entries in the change feed.
func (r Redis) Feed(room string) []map[string]string {
	r.T.Helper()
	stream := r.prefix() + "events"
	if r.Tags {
		stream = r.Key("events", room)
	}
	entries, err := r.Client.XRange(r.T.Context(), stream, "-", "+").Result()
	r.ok(err)
	var own []map[string]string
	for _, e := range entries {
		if e.Values["room"] != room {
			continue
		}
		fields := map[string]string{}
		for k, v := range e.Values {
			fields[k] = v.(string)
		}
		own = append(own, fields)
	}
	return own
}

// Flush removes all data.
func (r Redis) Flush() {
	r.T.Helper()
	r.ok(r.nodes(func(ctx context.Context, node *redis.Client) error { return node.FlushAll(ctx).Err() }))
}

// nodes calls do for every master of a cluster, or for the one Redis.
func (r Redis) nodes(do func(context.Context, *redis.Client) error) error {
	switch c := r.Client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(r.T.Context(), do)
	case *redis.Client:
		return do(r.T.Context(), c)
	}
	return fmt.Errorf("a client of type %T", r.Client)
}

// Advance moves the clock forward, or else moves all times in our keys back.
func (r Redis) Advance(d time.Duration) {
	r.T.Helper()
	if r.Clock != nil {
		r.Clock(d)
		return
	}
	ctx := r.T.Context()
	var mu sync.Mutex
	var fences []string
	r.ok(r.nodes(func(ctx context.Context, node *redis.Client) error {
		for _, pattern := range []string{r.prefix() + "fence:*", r.prefix() + "timeline:*"} { // a test's Redis is small
			found, err := node.Keys(ctx, pattern).Result()
			if err != nil {
				return err
			}
			mu.Lock()
			fences = append(fences, found...)
			mu.Unlock()
		}
		return nil
	}))
	for _, key := range fences {
		r.age(ctx, key, d)
	}
}

func (r Redis) age(ctx context.Context, key string, d time.Duration) {
	r.T.Helper()
	if ttl := r.Client.PTTL(ctx, key).Val(); ttl > d {
		r.ok(r.Client.PExpire(ctx, key, ttl-d).Err())
	} else if ttl > 0 {
		r.ok(r.Client.Del(ctx, key).Err())
		return
	}
	if r.Client.Type(ctx, key).Val() != "hash" {
		return
	}
	fields, err := r.Client.HGetAll(ctx, key).Result()
	r.ok(err)
	for field, value := range fields {
		if field != "touched" && !strings.HasPrefix(field, "t:") {
			continue
		}
		at, _, _ := strings.Cut(value, ":")
		unix, err := strconv.ParseInt(at, 10, 64)
		r.ok(err)
		r.ok(r.Client.HSet(ctx, key, field, strconv.FormatInt(unix-int64(d.Seconds()), 10)+value[len(at):]).Err())
	}
}

func (r Redis) ok(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatalf("meddling with Redis: %v", err)
	}
}
