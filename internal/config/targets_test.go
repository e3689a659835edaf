package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLiveKitHost(t *testing.T) {
	for in, want := range map[string]string{
		"host:7880": "https://host:7880", "127.0.0.1:7880": "https://127.0.0.1:7880", "[::1]:7880": "https://[::1]:7880",
		"ws://host:7880": "http://host:7880", "WSS://host/": "https://host", "http://host/base/": "http://host/base", "": "",
	} {
		var c Config
		if err := setLiveKitHost(&c, in); err != nil || c.LiveKit.Host != want {
			t.Errorf("%q: %q, %v; want %q", in, c.LiveKit.Host, err, want)
		}
	}
}

func TestRedisURL(t *testing.T) {
	for in, want := range map[string]RedisTarget{
		"":                             {Mode: RedisEmbedded},
		"redis://localhost":            {Mode: RedisSingle, Addrs: []string{"localhost:6379"}},
		"redis://u:p%40%2F@h:1/3":      {Mode: RedisSingle, Addrs: []string{"h:1"}, Username: "u", Password: "p@/", DB: 3},
		"redis://:a@b@h":               {Mode: RedisSingle, Addrs: []string{"h:6379"}, Password: "a@b"},
		"redis://h?db=4":               {Mode: RedisSingle, Addrs: []string{"h:6379"}, DB: 4},
		"rediss://[::1]":               {Mode: RedisSingle, Addrs: []string{"[::1]:6379"}, TLS: true},
		"unix:///run/redis.sock?db=2":  {Mode: RedisSingle, Addrs: []string{"/run/redis.sock"}, DB: 2},
		"unix://:p@/run/redis.sock":    {Mode: RedisSingle, Addrs: []string{"/run/redis.sock"}, Password: "p"},
		"redis+cluster://:p@a,b:7":     {Mode: RedisCluster, Addrs: []string{"a:6379", "b:7"}, Password: "p"},
		"rediss://a,b?cluster=true":    {Mode: RedisCluster, Addrs: []string{"a:6379", "b:6379"}, TLS: true},
		"redis://a?cluster=false":      {Mode: RedisSingle, Addrs: []string{"a:6379"}},
		"rediss+sentinel://a,b:1/main": {Mode: RedisSentinel, Addrs: []string{"a:26379", "b:1"}, Master: "main", TLS: true},
		"redis+sentinel://u:p@a/m%20x/5?sentinel_password=q": {Mode: RedisSentinel, Addrs: []string{"a:26379"}, Master: "m x",
			Username: "u", Password: "p", SentinelPassword: "q", DB: 5},
	} {
		got, err := ParseRedisURL(in)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", in, err, diff)
		}
	}
}

func TestRedisOptions(t *testing.T) {
	for _, in := range []string{"rediss+cluster://u:p@a", "redis+sentinel://a/main/5?sentinel_username=su&sentinel_password=q"} {
		target, err := ParseRedisURL(in)
		if err != nil {
			t.Fatal(err)
		}
		o := target.Options()
		if o.IsClusterMode != (target.Mode == RedisCluster) || o.MasterName != target.Master || (o.TLSConfig != nil) != target.TLS ||
			o.Username != target.Username || o.Password != target.Password.Reveal() || o.SentinelUsername != target.SentinelUsername ||
			o.SentinelPassword != target.SentinelPassword.Reveal() || o.DB != target.DB {
			t.Errorf("%s: %+v", in, o)
		}
	}
}

// FuzzRedisURL reads URLs and checks that a target has what its mode needs, that it is shown as a URL without its secrets
// that names the same target, and that an error shows nothing of the URL.
func FuzzRedisURL(f *testing.F) {
	for _, s := range []string{"redis://u:hunter2@h:1/3", "redis+sentinel://a/m", "rediss+sentinel://u:hunter2@a,b:1/m%20x/5?sentinel_password=hunter2",
		"unix:///run/redis.sock?db=2", "redis+cluster://:hunter2@a,b:7", "redis://h?cluster=hunter2", "hunter2", "redis://[::1%25eth0]", "'redis://h'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		target, err := ParseRedisURL(s)
		if err != nil {
			if strings.Contains(err.Error(), mark) || !cmp.Equal(target, RedisTarget{}) {
				t.Fatalf("%v, %+v", err, target)
			}
			return
		}
		if target.Mode == RedisEmbedded {
			return
		}
		if target.Mode == "" || len(target.Addrs) == 0 || target.Mode == RedisSingle && len(target.Addrs) > 1 || (target.Master != "") != (target.Mode == RedisSentinel) ||
			target.Mode == RedisCluster && target.DB != 0 {
			t.Fatalf("%q is read as %+v", s, target)
		}
		if target.socket() {
			return // its path is shown as it is
		}
		again, err := ParseRedisURL(target.String())
		target.SentinelUsername, target.SentinelPassword = "", ""
		if target.Password != "" {
			target.Password = redacted
		}
		if diff := cmp.Diff(target, again); err != nil || diff != "" {
			t.Fatalf("%q shows as %q, %v:\n%s", s, target, err, diff)
		}
	})
}
