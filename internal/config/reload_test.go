package config

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// otherValues are values other than those of TestReloadTakesTheLiveSettings' configuration, one for each setting.
func otherValues() map[string]string {
	return map[string]string{
		"livekit-host": "other.example.org", "livekit-api-key": "APIother", "livekit-api-key-file": "/other", "livekit-api-secret": "other", "livekit-api-secret-file": "/other",
		"livekit-keys": "a: b", "livekit-keys-file": "/other", "livekit-concurrency": "3", "livekit-rate": "3", "livekit-lag": "3s", "count-kinds": "AGENT",
		"redis-url": "redis://r:1", "redis-url-file": "/other", "embedded-redis": "true", "redis-prefix": "other:", "redis-hash-tags": "true", "redis-tls-ca": "/other",
		"redis-tls-cert": "/other", "redis-tls-key": "/other", "change-feed": "false", "change-feed-max": "1000", "timeline": "false", "http-addr": ":1",
		"http-advertise": "h:1", "admin-token": "other", "admin-token-file": "/other", "metrics-public": "true", "cors-origins": "https://a.example",
		"drain-delay": "3s", "sync-interval": "3s", "cleanup-interval": "3s", "stale-after": "3s", "node-id": "n9", "data-dir": "/other",
		"bootstrap-expect": "3", "join": "h:1", "node-addr": ":1", "node-advertise": "h:1", "dead-after": "3m", "tls-ca": "/other", "tls-cert": "/other",
		"tls-key": "/other", "insecure": "true", "http-tls-cert": "/other", "http-tls-key": "/other", "log-level": "debug", "log-format": "json",
		"otlp-endpoint": "http://127.0.0.1:4318", "debug-addr": "127.0.0.1:6060",
	}
}

// TestReloadTakesTheLiveSettings changes each setting alone: those that a reload changes are in the result, and all others are named.
func TestReloadTakesTheLiveSettings(t *testing.T) {
	old := mustLoad(t, baseEnv("ROLLCALL_ADMIN_TOKEN=before")).Config
	values := otherValues()
	for _, s := range settings() {
		value, ok := values[s.name]
		if !ok {
			t.Errorf("give --%s another value in otherValues (internal/config/reload_test.go)", s.name)
			continue
		}
		next := old
		if err := s.set(&next, value); err != nil {
			t.Fatal(err)
		}
		now, changed, restart := Reload(old, next)
		want, wantChanged, wantRestart := old, []string(nil), []string{s.name}
		if s.reload {
			want, wantChanged, wantRestart = next, wantRestart, nil
		}
		if diff := cmp.Diff(want, now); diff != "" || !slices.Equal(changed, wantChanged) || !slices.Equal(restart, wantRestart) {
			t.Errorf("--%s: changed %q, need a restart %q\n%s", s.name, changed, restart, diff)
		}
	}
	if now, changed, restart := Reload(old, old); !cmp.Equal(old, now) || changed != nil || restart != nil {
		t.Errorf("without a change: %q, %q", changed, restart)
	}
}

// TestReloadKeepsTheKeyOfTheRunningHost checks that the key of another LiveKit is not used with the one that the node talks to.
func TestReloadKeepsTheKeyOfTheRunningHost(t *testing.T) {
	old := mustLoad(t, baseEnv("LIVEKIT_KEYS=a: b")).Config
	next := old
	next.LiveKit = LiveKit{Host: "https://p.livekit.cloud", APIKey: "APIother", APISecret: "other", Rate: 15, Concurrency: old.LiveKit.Concurrency,
		Keys: map[string]Secret{"APIkey": "s3cr3t-lk"}}
	now, changed, restart := Reload(old, next)
	want := old
	want.LiveKit.Keys = next.LiveKit.Keys
	if diff := cmp.Diff(want, now); diff != "" || !slices.Equal(changed, []string{"livekit-keys"}) ||
		!slices.Equal(restart, []string{"livekit-host", "livekit-api-key", "livekit-api-secret", "livekit-rate"}) {
		t.Errorf("changed %q, need a restart %q\n%s", changed, restart, diff)
	}
}
