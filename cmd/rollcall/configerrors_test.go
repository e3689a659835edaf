package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// mark stands in every secret of these tests.
const mark = "hunter2"

// wrongValues are bad values by setting; each case is one line of the golden file.
func wrongValues() []string {
	return []string{
		"livekit-host=ftp://x", "livekit-host=http://u:hunter2@x", "livekit-host=x y", "livekit-host=host:99999", "livekit-host=https://",
		"livekit-host=http://h/?token=hunter2", "livekit-host=u:hunter2@",
		"livekit-api-key=a b", "livekit-api-secret=hunter2 ", "livekit-keys=hunter2", "livekit-keys=a:hunter2,hunter2",
		"livekit-keys=a: hunter2, a: hunter22", "livekit-keys=APIkey: hunter2",
		"livekit-concurrency=0", "livekit-concurrency=many", "livekit-rate=-1", "livekit-rate=NaN",
		"count-kinds=STANDARD,ROBOT", "count-kinds=",
		"redis-url=localhost:hunter2", "redis-url=http://:hunter2@x", "redis-url=redis://:hun/ter2hunter2@x", "redis-url=redis://hunter2@x",
		"redis-url=redis://u:hunter2@x,y", "redis-url=redis://u:hunter2@x/one", "redis-url=redis://u:hunter2@x:0",
		"redis-url=redis://u:%zzhunter2@x", "redis-url=redis://x?password=hunter2", "redis-url=redis://x?cluster=hunter2",
		"redis-url=redis+cluster://u:hunter2@x/1", "redis-url=redis+sentinel://u:hunter2@x", "redis-url=unix://hunter2",
		"redis-url=redis+://hunter2", "redis-url=redis://u:hunter2@::1:6379",
		"redis-tls-ca=/nonexistent/ca.pem", "redis-tls-cert=/nonexistent/cert.pem", "redis-tls-key=/nonexistent/key.pem",
		"livekit-keys={a: hunter2", "livekit-keys=a: 0123", "redis-url=redis://x?%zz=hunter2",
		"redis-hash-tags=maybe", "change-feed=maybe", "change-feed-max=1", "timeline=maybe",
		"http-addr=8080", "http-addr=:99999", "http-advertise=:8080", "admin-token=hunter2 hunter2", "metrics-public=2",
		"cors-origins=*", "cors-origins=https://a.example/", "cors-origins=https://a.example:443", "cors-origins=HTTPS://a.example", "cors-origins=null",
		"cors-origins=https://u@a.example", "cors-origins=https://a.example,ftp://b", "cors-origins=https://a.example:",
		"drain-delay=-1s", "sync-interval=5", "sync-interval=10ms", "cleanup-interval=0s", "stale-after=10ms", "livekit-lag=91s", "livekit-lag=-1s", "livekit-lag=10", "stale-after=soon",
		"node-id=a b", "data-dir=", "bootstrap-expect=0", "bootstrap-expect=9", "join=n1", "join=:7000", "node-addr=x", "node-addr=0.0.0.0:7000",
		"node-advertise=0.0.0.0:7000", "raft-addr=:7000", "actor-advertise=n1:7001", "dead-after=1s",
		"tls-ca=/nonexistent/ca.pem", "tls-cert=/nonexistent/cert.pem", "tls-key=/nonexistent/key.pem", "insecure=si", "http-tls-cert=/nonexistent/cert.pem",
		"http-tls-key=/nonexistent/key.pem", "log-level=loud", "log-format=xml",
	}
}

// TestErrorLines holds every line that a wrong value makes, that each names flag
// and variable, that no secret is in it, and that no setting is untested.
func TestErrorLines(t *testing.T) {
	var b strings.Builder
	tested := map[string]bool{}
	run := func(environ []string, args ...string) {
		o := command(t, deps{}, environ, append([]string{"check-config"}, args...)...)
		if o.code != exitUsage || o.out != "" {
			t.Errorf("%q: exit %d, output %q", args, o.code, o.out)
		}
		fmt.Fprintf(&b, "%s\n%s\n", strings.Join(args, " "), o.errOut)
		for line := range strings.Lines(o.errOut) {
			if !strings.HasPrefix(line, "rollcall: --") || !(strings.Contains(line, "ROLLCALL_") || strings.Contains(line, "LIVEKIT_") || strings.Contains(line, "REDIS_URL")) {
				t.Errorf("%q: the line names no flag or variable: %s", args, line)
			}
			if strings.Contains(line, mark) {
				t.Errorf("%q: the line has a secret: %s", args, line)
			}
		}
	}
	for _, value := range wrongValues() {
		name, _, _ := strings.Cut(value, "=")
		tested[name] = true
		run(baseEnv(), "--"+value)
	}
	for _, s := range settings() {
		if !tested[s.name] {
			t.Errorf("no wrong value of --%s is tested", s.name)
		}
	}
	run(nil)
	run(baseEnv(), "--bootstrap-expect=3", "--insecure")
	run(baseEnv("REDIS_URL=redis://r"), "--join=n1:7000")
	run(baseEnv("REDIS_URL=redis+cluster://r"), "--redis-hash-tags=false")
	run(baseEnv(), "--tls-ca=/nonexistent/ca.pem", "--tls-cert=/nonexistent/cert.pem", "--tls-key=/nonexistent/key.pem")
	run(baseEnv(), "--http-tls-cert=configuration.intro.md", "--http-tls-key=configuration.intro.md")
	run(baseEnv("ROLLCALL_ACTOR_ADDR=127.0.0.1:7000"))
	run(baseEnv(), "--node-addr=:7000", "--http-addr=:7000")
	run(baseEnv("ROLLCALL_SYNC_INTERVAL=5"))
	run(baseEnv("ROLLCALL_LIVEKIT_HOST=ftp://x"))
	// Masked here: the golden file holds the words of the cases, not their secrets.
	golden(t, "config-errors.golden", strings.ReplaceAll(b.String(), mark, "SECRET"))
}

func TestFileErrorLines(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "sync_intervall: 1s\n", `"sync_intervall" in "FILE" is not a setting: did you mean "sync-interval"?`},
		{"strange key", "zzzzzzzz: 1s\n", `"zzzzzzzz" in "FILE" is not a setting: rollcall serve --help lists them`},
		{"no lines", "hunter2\n", `"FILE" is not YAML of lines "flag: value" at line 1: give lines such as sync-interval: 30s`},
		{"broken", "a: [hunter2\n", `"FILE" is not YAML of lines "flag: value" at line 1: give lines such as sync-interval: 30s`},
		{"block", "sync-interval:\n  a: 1\n", `sync-interval in "FILE": give one value, not a block`},
		{"list", "sync-interval: [1s]\n", `sync-interval in "FILE": give one value, not a list`},
		{"secret as number", "livekit-api-secret: 0123\n", `livekit-api-secret in "FILE": the value is a number or truth value to YAML: put it in quotes`},
		{"pair as number", "livekit-keys:\n  a: 0123\n", `livekit-keys in "FILE": the secret of a pair (not shown) is not text: put it in quotes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := writeFile(t, "r.yaml", tt.text)
			o := command(t, deps{}, baseEnv(), "check-config", "--config", file)
			want := "rollcall: --config, ROLLCALL_CONFIG: " + strings.ReplaceAll(tt.want, "FILE", file) + "\n"
			if o.code != exitUsage || o.errOut != want {
				t.Errorf("exit %d\n got %s\nwant %s", o.code, o.errOut, want)
			}
		})
	}
	file := writeFile(t, "r.yaml", "sync-interval: 5\n")
	o := command(t, deps{}, baseEnv(), "check-config", "--config", file)
	if !strings.HasSuffix(o.errOut, "(set in "+file+")\n") {
		t.Errorf("the line does not name the file: %s", o.errOut)
	}
	if o := command(t, deps{}, baseEnv(), "check-config", "--config", "/nonexistent/r.yaml"); o.code != exitUsage {
		t.Errorf("a missing file: %+v", o)
	}
}

// TestNoSecretIsShown prints a Config full of secrets in every way.
func TestNoSecretIsShown(t *testing.T) {
	environ := []string{
		"LIVEKIT_HOST=https://lk", "LIVEKIT_API_KEY=APIkey", "LIVEKIT_API_SECRET=" + mark + "-1", "LIVEKIT_KEYS=k2: " + mark + "-2",
		"REDIS_URL=redis+sentinel://user:" + mark + "-3@s1,s2/main/2?sentinel_username=su&sentinel_password=" + mark + "-4",
		"ROLLCALL_ADMIN_TOKEN=" + mark + "-5-long-enough",
	}
	l := mustLoad(t, environ)
	if l.Config.Redis.Options().Password != mark+"-3" || l.Config.AdminToken.Reveal() == "" || len(l.Config.LiveKit.WebhookKeys()) != 2 {
		t.Fatal("the secrets are not there to be shown")
	}
	var logged strings.Builder
	for _, h := range []slog.Handler{slog.NewJSONHandler(&logged, nil), slog.NewTextHandler(&logged, nil)} {
		slog.New(h).Info("x", "config", l.Config, "token", l.Config.AdminToken, "redis", l.Config.Redis)
	}
	asJSON, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{
		"log": logged.String(), "JSON": string(asJSON),
		"check-config":        fmt.Sprint(command(t, deps{}, environ, "check-config")),
		"check-config --json": fmt.Sprint(command(t, deps{}, environ, "check-config", "--json")),
		"with an error":       fmt.Sprint(command(t, deps{}, environ, "check-config", "--json", "--node-id=a b")),
		"a stray argument":    fmt.Sprint(command(t, deps{}, environ, "serve", "--admin-token=", mark)),
		"a misspelt flag":     fmt.Sprint(command(t, deps{}, environ, "serve", "--admin-tokn="+mark)),
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown[verb] = fmt.Sprintf(verb, l.Config)
	}
	hexMark := fmt.Sprintf("%x", mark)
	for how, text := range shown {
		if strings.Contains(text, hexMark) || strings.Contains(text, mark) {
			t.Errorf("%s shows a secret: %s", how, text)
		}
	}
	if !strings.Contains(shown["check-config"], "redis+sentinel://user:[redacted]@s1:26379,s2:26379/main/2") {
		t.Errorf("check-config does not show where Redis is:\n%s", shown["check-config"])
	}
}

func TestCheckConfigJSON(t *testing.T) {
	var got checkedConfig
	o := command(t, deps{}, baseEnv(), "check-config", "--json")
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.code != exitDone || !got.OK || len(got.Settings) != len(settings()) {
		t.Errorf("right: %v, %+v", err, o)
	}
	got = checkedConfig{}
	o = command(t, deps{}, nil, "check-config", "--json")
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.code != exitUsage || got.OK || len(got.Errors) != 3 {
		t.Errorf("wrong: %v, %+v", err, o)
	}
}
