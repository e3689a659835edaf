package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// baseEnv is the minimum that serve needs.
func baseEnv(more ...string) []string {
	return append([]string{"LIVEKIT_HOST=lk.example.org", "LIVEKIT_API_KEY=APIkey", "LIVEKIT_API_SECRET=s3cr3t-lk", "REDIS_URL=redis://r"}, more...)
}

func loadArgs(t *testing.T, why Purpose, environ []string, args ...string) (Loaded, error) {
	t.Helper()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(flags, environ, why)
}

func mustLoad(t *testing.T, environ []string, args ...string) Loaded {
	t.Helper()
	l, err := loadArgs(t, ForServe, environ, args...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	got := mustLoad(t, baseEnv()).Config
	want := Config{
		HTTPAddr: ":8080",
		DataDir:  "./rollcall-data", BootstrapExpect: 1,
		DeadAfter: 10 * time.Minute, DrainDelay: time.Second,
		SyncInterval: 30 * time.Second, CleanupInterval: 5 * time.Minute, StaleAfter: 30 * time.Minute, LiveKitLag: 10 * time.Second,
		LiveKit: LiveKit{Host: "https://lk.example.org", APIKey: "APIkey", APISecret: "s3cr3t-lk",
			Keys: map[string]Secret{}, Concurrency: 16},
		Redis: RedisTarget{Mode: RedisSingle, Addrs: []string{"r:6379"}}, RedisPrefix: "rooms:", CountKinds: []string{"STANDARD", "SIP"},
		ChangeFeed: true, ChangeFeedMax: 100000, Timeline: true, LogLevel: slog.LevelInfo, LogFormat: "text",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPrecedence(t *testing.T) {
	file := writeFile(t, "r.yaml", "sync-interval: 11s\nlivekit-host: file.example.org\njoin: [a:7000, b:7000]\nlivekit-rate: 2.5\nchange-feed: false\n")
	tests := []struct {
		name    string
		env     []string
		args    []string
		setting string
		value   string
		source  string
	}{
		{"default", nil, nil, "sync-interval", "30s", "default"},
		{"file over default", nil, []string{"--config", file}, "sync-interval", "11s", "file " + file},
		{"file by variable", []string{"ROLLCALL_CONFIG=" + file}, nil, "livekit-rate", "2.5", "file " + file},
		{"bool from file", []string{"ROLLCALL_CONFIG=" + file}, nil, "change-feed", "false", "file " + file},
		{"env over file", []string{"ROLLCALL_SYNC_INTERVAL=12s"}, []string{"--config", file}, "sync-interval", "12s", "env ROLLCALL_SYNC_INTERVAL"},
		{"flag over env", []string{"ROLLCALL_SYNC_INTERVAL=12s"}, []string{"--config", file, "--sync-interval=13s"}, "sync-interval", "13s", "flag"},
		{"flag that repeats the default", []string{"ROLLCALL_SYNC_INTERVAL=12s"}, []string{"--sync-interval=30s"}, "sync-interval", "30s", "flag"},
		{"bare name over file", nil, []string{"--config", file}, "livekit-host", "https://lk.example.org", "env LIVEKIT_HOST"},
		{"ROLLCALL_ name over bare name", []string{"ROLLCALL_LIVEKIT_HOST=other"}, nil, "livekit-host", "https://other", "env ROLLCALL_LIVEKIT_HOST"},
		{"empty variable is unset", []string{"ROLLCALL_SYNC_INTERVAL="}, []string{"--config", file}, "sync-interval", "11s", "file " + file},
		{"empty flag is a value", nil, []string{"--redis-url=", "--embedded-redis"}, "redis-url", "embedded", "flag"},
		{"repeated flag", []string{"ROLLCALL_REDIS_URL=redis://r"}, []string{"--join=a:1,b:2", "--join=c:3", "--node-addr=127.0.0.1:7000"}, "join", "a:1,b:2,c:3", "flag"},
		{"bare bool flag", nil, []string{"--metrics-public"}, "metrics-public", "true", "flag"},
		{"cloud rate", []string{"ROLLCALL_LIVEKIT_HOST=wss://p.livekit.cloud"}, nil, "livekit-rate", "15", "default"},
		{"own cloud rate", []string{"ROLLCALL_LIVEKIT_HOST=wss://p.livekit.cloud"}, []string{"--livekit-rate=50"}, "livekit-rate", "50", "flag"},
		{"hash tags on a cluster", []string{"REDIS_URL=redis+cluster://r"}, nil, "redis-hash-tags", "true", "default"},
		{"hash tags elsewhere", []string{"REDIS_URL=redis://r"}, nil, "redis-hash-tags", "false", "default"},
		{"hash tags by hand", []string{"REDIS_URL=redis://r"}, []string{"--redis-hash-tags=true"}, "redis-hash-tags", "true", "flag"},
		{"hash tags as a switch", []string{"REDIS_URL=redis://r"}, []string{"--redis-hash-tags", "--http-addr=:81"}, "redis-hash-tags", "true", "flag"},
		{"origins", []string{"ROLLCALL_CORS_ORIGINS=https://a.example, http://[::1]:3000"}, nil, "cors-origins", "https://a.example,http://[::1]:3000", "env ROLLCALL_CORS_ORIGINS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.args
			if strings.Contains(fmt.Sprint(args, tt.env), file) {
				// The file's join requires what a cluster requires.
				args = append(args, "--redis-url=redis://r", "--node-addr=127.0.0.1:7000")
			}
			l := mustLoad(t, baseEnv(tt.env...), args...)
			for _, s := range l.Settings() {
				if s.Name == tt.setting && (s.Value != tt.value || s.Source != tt.source) {
					t.Errorf("%s = %q from %q, want %q from %q", s.Name, s.Value, s.Source, tt.value, tt.source)
				}
			}
		})
	}
}

// TestEverySettingFromEverySource checks that every setting can be set from every source.
func TestEverySettingFromEverySource(t *testing.T) {
	for _, s := range settings() {
		for _, name := range s.env {
			// The value does not matter: its source is recorded either way.
			l, _ := loadArgs(t, ForServe, []string{name + "=x"})
			if got := l.Sources[s.name]; got != "env "+name {
				t.Errorf("%s from %s has source %q", s.name, name, got)
			}
		}
		file := writeFile(t, "r.yaml", s.name+": 'x'\n")
		if l, _ := loadArgs(t, ForServe, nil, "--config", file); l.Sources[s.name] != "file "+file {
			t.Errorf("%s from file has source %q", s.name, l.Sources[s.name])
		}
		if l, _ := loadArgs(t, ForServe, nil, "--"+s.name+"=x"); l.Sources[s.name] != "flag" {
			t.Errorf("%s from flag has source %q", s.name, l.Sources[s.name])
		}
	}
}

func TestAloneOrNot(t *testing.T) {
	redis := "REDIS_URL=redis://r"
	tests := []struct {
		name string
		args []string
		node string // the node address
		ok   bool
	}{
		{"alone", nil, "", true},
		{"alone, own port", []string{"--node-addr=:7100"}, "127.0.0.1:7100", true},
		{"alone, off loopback", []string{"--node-addr=10.0.0.1:7000"}, "", false},
		{"alone, off loopback, insecure", []string{"--node-addr=10.0.0.1:7000", "--insecure"}, "10.0.0.1:7000", true},
		{"cluster on loopback", []string{"--bootstrap-expect=3", "--join=127.0.0.1:7001", "--node-addr=127.0.0.1:7000"}, "127.0.0.1:7000", true},
		{"cluster, everywhere", []string{"--bootstrap-expect=3"}, "", false},
		{"cluster, insecure, no advertise", []string{"--bootstrap-expect=3", "--insecure"}, "", false},
		{"cluster, insecure", []string{"--bootstrap-expect=3", "--join=n2:7000", "--insecure", "--node-advertise=n1:7000"}, ":7000", true},
		{"joining", []string{"--join=n1:7000"}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := loadArgs(t, ForServe, baseEnv(redis), tt.args...)
			if (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if err == nil && l.Config.NodeAddr != tt.node {
				t.Errorf("node address %q, want %q", l.Config.NodeAddr, tt.node)
			}
		})
	}
}

// TestRemovedSettings checks that a removed setting is refused by name in every source.
func TestRemovedSettings(t *testing.T) {
	for old, instead := range removedSettings() {
		file := writeFile(t, "r.yaml", old+": 127.0.0.1:7000\n")
		for source, load := range map[string]func() error{
			"flag":     func() error { _, err := loadArgs(t, ForServe, baseEnv(), "--"+old+"=:7000"); return err },
			"variable": func() error { _, err := loadArgs(t, ForServe, baseEnv(EnvName(old)+"=:7000")); return err },
			"file":     func() error { _, err := loadArgs(t, ForServe, baseEnv(), "--config", file); return err },
		} {
			want := "gone: nodes talk over one port now; give --" + instead + ", " + EnvName(instead)
			if err := load(); err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("%s as a %s: %v", old, source, err)
			}
		}
	}
}

// TestTracesAndDebugging checks what the two settings mean, and that both are off by default.
func TestTracesAndDebugging(t *testing.T) {
	for _, tt := range []struct {
		env, args       []string
		endpoint, debug string
	}{
		{nil, nil, "", ""},
		{nil, []string{"--otlp-endpoint=http://c:4318/", "--debug-addr=:6060"}, "http://c:4318", "127.0.0.1:6060"},
		{nil, []string{"--otlp-endpoint=c:4318", "--debug-addr=[::1]:6060"}, "http://c:4318", "[::1]:6060"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c/otlp", "ROLLCALL_DEBUG_ADDR=0.0.0.0:0"}, nil, "https://c/otlp", "0.0.0.0:0"},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "ROLLCALL_OTLP_ENDPOINT=https://d"}, nil, "https://d", ""},
		{[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://e/v1/traces"}, nil, "https://e/v1/traces", ""},
	} {
		c := mustLoad(t, baseEnv(tt.env...), tt.args...).Config
		if c.OTLPEndpoint != tt.endpoint || c.DebugAddr != tt.debug {
			t.Errorf("%q %q: %q and %q, want %q and %q", tt.env, tt.args, c.OTLPEndpoint, c.DebugAddr, tt.endpoint, tt.debug)
		}
	}
	if _, err := loadArgs(t, ForServe, baseEnv(), "--debug-addr=127.0.0.1:8080"); err == nil || !strings.Contains(err.Error(), "takes the port of --http-addr") {
		t.Errorf("the port of the API for debugging: %v", err)
	}
}

func TestDevNeedsNoLiveKit(t *testing.T) {
	if _, err := loadArgs(t, ForDev, nil); err != nil {
		t.Error(err)
	}
	if l, err := loadArgs(t, ForDev, []string{"LIVEKIT_API_KEY=k", "LIVEKIT_API_SECRET=s"}); err != nil || l.Config.LiveKit.APIKey != "k" || l.Config.LiveKit.Host != "" {
		t.Errorf("a key for dev's own LiveKit: %+v, %v", l.Config.LiveKit.APIKey, err)
	}
	for _, half := range []string{"LIVEKIT_API_KEY=k", "LIVEKIT_API_SECRET=s"} {
		if _, err := loadArgs(t, ForDev, []string{half}); err == nil {
			t.Errorf("%s alone is accepted", half)
		}
	}
	_, err := loadArgs(t, ForDev, []string{"LIVEKIT_HOST=x"})
	var usage *UsageError
	if !errors.As(err, &usage) || len(usage.Lines) != 2 {
		t.Errorf("half a LiveKit: %v", err)
	}
}

// TestEmbeddedRedis checks that only dev uses the embedded Redis unasked, and that nothing else can be asked for with it.
func TestEmbeddedRedis(t *testing.T) {
	tests := []struct {
		why  Purpose
		args []string
		want string // part of the error; empty if there is none
	}{
		{ForServe, []string{"--redis-url="}, "--redis-url, REDIS_URL: missing: give redis://"},
		{ForServe, []string{"--redis-url=", "--embedded-redis=false"}, "--embedded-redis"},
		{ForServe, []string{"--redis-url=", "--embedded-redis"}, ""},
		{ForServe, []string{"--embedded-redis"}, "--embedded-redis, ROLLCALL_EMBEDDED_REDIS: there is a --redis-url"},
		{ForServe, []string{"--redis-url=", "--embedded-redis", "--join=127.0.0.1:7001", "--node-addr=127.0.0.1:7000"}, "the embedded one is a single node's"},
		{ForDev, []string{"--redis-url="}, ""},
		{ForDev, []string{"--redis-url=", "--embedded-redis"}, ""},
	}
	for _, tt := range tests {
		_, err := loadArgs(t, tt.why, baseEnv(), tt.args...)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

// TestBrokenFileIsTheOnlyProblem checks that a file that does not parse hides the settings that seem missing, and that a setting that is there
// twice is named without its values.
func TestBrokenFileIsTheOnlyProblem(t *testing.T) {
	for text, want := range map[string]string{
		"redis-url: redis://:secret1@a\nlog-level: info\nredis-url: redis://:secret2@b\n": " has redis-url twice, at line 1 and line 3: keep one of the two",
		"livekit-keys: {secret1: secret2, secret1: x}\n":                                  " is not YAML of lines \"flag: value\" at line 1: give lines such as sync-interval: 30s",
	} {
		_, err := loadArgs(t, ForServe, nil, "--config", writeFile(t, "r.yaml", text))
		if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestUnfitForProduction checks the warnings of settings that suit only a trial.
func TestUnfitForProduction(t *testing.T) {
	const token = "ROLLCALL_ADMIN_TOKEN=0123456789abcdef"
	tests := []struct {
		why  Purpose
		env  []string
		args []string
		want []string // the beginnings of the warnings
	}{
		{ForServe, []string{token}, nil, nil},
		{ForServe, nil, []string{"--http-addr=127.0.0.1:8080"}, nil},
		{ForServe, nil, nil, []string{"--http-addr :8080 is every interface"}},
		{ForServe, nil, []string{"--http-addr=[::]:80"}, []string{"--http-addr [::]:80 is every interface"}},
		{ForServe, []string{token}, []string{"--redis-url=", "--embedded-redis"}, []string{"--embedded-redis is for trials"}},
		{ForServe, []string{token}, []string{"--debug-addr=:6060"}, nil},
		{ForServe, []string{token}, []string{"--debug-addr=0.0.0.0:6060"}, []string{"--debug-addr 0.0.0.0:6060 is reachable from other machines without a token"}},
		{ForServe, []string{token}, []string{"--debug-addr=n1:6060"}, []string{"--debug-addr n1:6060 is reachable"}},
		{ForDev, nil, []string{"--redis-url="}, nil},
	}
	for _, tt := range tests {
		l, err := loadArgs(t, tt.why, baseEnv(tt.env...), tt.args...)
		if err != nil || len(l.Warnings) != len(tt.want) {
			t.Errorf("%q %q: %v, warnings %q, want %q", tt.env, tt.args, err, l.Warnings, tt.want)
			continue
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(l.Warnings[i], want) {
				t.Errorf("%q %q: warning %q, want %q", tt.env, tt.args, l.Warnings[i], want)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	l := mustLoad(t, baseEnv("ROLLCALL_LIVEKIT_HOST=127.0.0.1:7880", "ROLLCALL_ADMIN_TOKEN=short", "ROLLCALL_SYNC_INTERVALL=1s",
		"ROLLCALL_PORT=tcp://10.0.0.1:80", "ROLLCALL_SERVICE_HOST=10.0.0.1", "ROLLCALL_ADDR=x", "ROLLCALL_TOKEN=y"))
	if len(l.Warnings) != 3 || !strings.Contains(strings.Join(l.Warnings, "\n"), "did you mean ROLLCALL_SYNC_INTERVAL?") {
		t.Errorf("warnings: %q", l.Warnings)
	}
}
