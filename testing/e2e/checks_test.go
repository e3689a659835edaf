package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/fixtures"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// check checks what must be true in a world after every scenario.
func (w *world) check() {
	if w.Runs() && !w.t.Failed() {
		w.checkAnswers()
		w.Terminate()
	}
	w.CheckLog()
	w.checkSecrets("rollcall's log", w.Output())
	if w.redis.Pid() == 0 {
		return
	}
	w.watch.report(w.t)
	w.checkForeign()
	w.checkOurs()
	if !w.opts.noFeed && !w.t.Failed() {
		w.checkFeed()
	}
}

// seedForeign writes the application's keys. One of them holds bytes that are not text.
func (w *world) seedForeign() {
	w.t.Helper()
	c, ctx := w.redis.Client(), w.ctx()
	pipe := c.TxPipeline()
	pipe.SAdd(ctx, "matching:active", "m1", "m2", "m3")
	pipe.RPush(ctx, "matching:queue", "q1", "q2")
	pipe.Set(ctx, "left_behind:user1", "\x00\xff{}*", 0)
	pipe.Set(ctx, "left_behind:user2", "soon", 24*time.Hour)
	pipe.HSet(ctx, "room:participants:like", "rooms:participants:x", "y")
	if _, err := pipe.Exec(ctx); err != nil {
		w.t.Fatalf("seed the application's keys: %v", err)
	}
}

func foreignKeys() []string {
	return []string{"matching:active", "matching:queue", "left_behind:user1", "left_behind:user2", "room:participants:like"}
}

// checkForeign compares the application's keys byte for byte with those of a Redis that never saw rollcall.
func (w *world) checkForeign() {
	w.t.Helper()
	got := w.dumps(func(key string) bool { return slices.Contains(foreignKeys(), key) })
	w.seedAgain()
	if want := w.dumps(func(key string) bool { return slices.Contains(foreignKeys(), key) }); !maps.Equal(got, want) {
		w.t.Errorf("the application's keys changed: %q, want %q", got, want)
	}
	if log, err := w.redis.Client().Do(w.ctx(), "ACL", "LOG").Slice(); err != nil || len(log) > 0 {
		w.t.Errorf("rollcall tried what its Redis user may not: %v %v", log, err)
	}
	if w.opts.shared {
		return
	}
	for key := range w.dumps(func(string) bool { return true }) {
		if !strings.HasPrefix(key, "rooms:") && !slices.Contains(foreignKeys(), key) {
			w.t.Errorf("a key of nobody's: %q", key)
		}
	}
}

func (w *world) seedAgain() {
	w.t.Helper()
	if err := w.redis.Client().Del(w.ctx(), foreignKeys()...).Err(); err != nil {
		w.t.Fatal(err)
	}
	w.seedForeign()
}

// dumps returns the selected keys with their serialised values.
func (w *world) dumps(of func(key string) bool) map[string]string {
	w.t.Helper()
	c, ctx := w.redis.Client(), w.ctx()
	all := map[string]string{}
	for _, key := range c.Keys(ctx, "*").Val() {
		if of(key) {
			raw, err := c.Dump(ctx, key).Result()
			if err != nil && err != redis.Nil {
				w.t.Fatalf("dump %q: %v", key, err)
			}
			all[key] = raw
		}
	}
	return all
}

// checkOurs checks that none of our values contains a secret, and that no key of a live room expires.
func (w *world) checkOurs() {
	w.t.Helper()
	c, ctx := w.redis.Client(), w.ctx()
	r, err := oracle.Read(ctx, c)
	if index := c.ZRange(ctx, "rooms:index", 0, -1).Val(); err == nil && !slices.Equal(slices.Sorted(slices.Values(index)), slices.Sorted(maps.Keys(r.States))) {
		w.t.Errorf("the index has %q, and there are %q", index, slices.Collect(maps.Keys(r.States)))
	}
	for _, key := range c.Keys(ctx, "rooms:*").Val() {
		w.checkSecrets(fmt.Sprintf("the key %q", key), []byte(key+contents(ctx, c, key)))
		room, public := strings.CutPrefix(key, oracle.StatesKey)
		if !public {
			continue
		}
		for _, lasting := range []string{key, oracle.ParticipantsKey + room, "rooms:fence:" + room} {
			if ttl := c.TTL(ctx, lasting).Val(); ttl != -1 {
				w.t.Errorf("%q has the TTL %v, and its room is live (-2: there is none)", lasting, ttl)
			}
		}
	}
}

// contents returns everything in a key, of any type.
func contents(ctx context.Context, c *redis.Client, key string) string {
	switch c.Type(ctx, key).Val() {
	case "string":
		return c.Get(ctx, key).Val()
	case "hash":
		return fmt.Sprint(c.HGetAll(ctx, key).Val())
	case "zset":
		return fmt.Sprint(c.ZRange(ctx, key, 0, -1).Val())
	case "set":
		return fmt.Sprint(c.SMembers(ctx, key).Val())
	case "list":
		return fmt.Sprint(c.LRange(ctx, key, 0, -1).Val())
	case "stream":
		return fmt.Sprint(c.XRange(ctx, key, "-", "+").Val())
	}
	return ""
}

// checkSecrets looks for every secret of this world.
func (w *world) checkSecrets(where string, in []byte) {
	w.t.Helper()
	secrets := map[string]string{"the API secret": livekittest.Secret, "the Redis password": redisPassword, "the fixtures' turnPassword": fixtures.Secret,
		"turnPassword": "turnPassword"}
	if w.opts.adminToken != "" {
		secrets["the admin token"] = w.opts.adminToken
	}
	for key, secret := range w.opts.keys {
		secrets["the secret of "+key] = secret
	}
	for i, d := range w.receiver.Deliveries("") {
		if secret := d.Event.GetRoom().GetTurnPassword(); secret != "" {
			secrets[fmt.Sprintf("the turnPassword of webhook %d", i)] = secret
		}
	}
	for what, secret := range secrets {
		if bytes.Contains(in, []byte(secret)) {
			w.t.Errorf("%s holds %s", where, what)
		}
	}
}

// checkAnswers looks for secrets in rollcall's HTTP answers.
func (w *world) checkAnswers() {
	w.t.Helper()
	paths := []string{"/", "/livez", "/readyz", "/version", "/metrics", "/api/sync-rooms", "/api/check-match", "/api/rooms"}
	if rooms, err := w.redisView(); err == nil {
		for name := range rooms {
			paths = append(paths, "/api/rooms?name="+url.QueryEscape(name))
		}
	}
	for _, path := range paths {
		resp := w.request(http.MethodGet, path, nil, nil)
		w.checkSecrets("the answer of "+path, resp.body)
	}
}

// answer is a complete HTTP answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request sends a request with the admin token, if the world has one and header sets no Authorization.
func (w *world) request(method, path string, body []byte, header http.Header) answer {
	w.t.Helper()
	a, err := w.tryRequest(method, path, body, header)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (w *world) tryRequest(method, path string, body []byte, header http.Header) (answer, error) {
	req, err := http.NewRequest(method, w.URL()+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if w.opts.adminToken != "" {
		req.Header.Set("Authorization", "Bearer "+w.opts.adminToken)
	}
	maps.Copy(req.Header, header)
	resp, err := httpClient().Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, raw}, err
}

func httpClient() *http.Client { return &http.Client{Timeout: patience} }

func words(s string) []string { return strings.Fields(s) }
