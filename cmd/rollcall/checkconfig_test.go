package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"

	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// mark is part of every secret in these tests.
const mark = "hunter2"

// baseEnv is the minimum that serve needs and does not warn of.
func baseEnv(more ...string) []string {
	return append([]string{"LIVEKIT_HOST=lk.example.org", "LIVEKIT_API_KEY=APIkey", "LIVEKIT_API_SECRET=s3cr3t-lk", "REDIS_URL=redis://r",
		"ROLLCALL_ADMIN_TOKEN=t0ken-of-24-characters!!"}, more...)
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wrongValues are bad values, each as "setting=value"; each case is one entry of the golden file.
func wrongValues(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../internal/config/testdata/wrong-values.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// serveFlags returns the flags of serve, which are the settings and --config.
func serveFlags(t *testing.T) []*pflag.Flag {
	t.Helper()
	cmd, _, err := (&app{}).root().Find([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	var flags []*pflag.Flag
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "config" && f.Name != "help" {
			flags = append(flags, f)
		}
	})
	return flags
}

// TestErrorLines checks every line that a wrong value produces: each names flag and variable, none contains a secret, and
// every setting is tested.
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
	for _, value := range wrongValues(t) {
		name, _, _ := strings.Cut(value, "=")
		tested[name] = true
		run(baseEnv(), "--"+value)
	}
	for _, f := range serveFlags(t) {
		if !tested[f.Name] {
			t.Errorf("no wrong value of --%s is tested: add one to internal/config/testdata/wrong-values.txt", f.Name)
		}
	}
	run(nil)
	run(baseEnv(), "--bootstrap-expect=3", "--insecure")
	run(baseEnv(), "--redis-url=", "--embedded-redis", "--join=n1:7000", "--insecure", "--node-advertise=n2:7000")
	run(baseEnv("REDIS_URL=redis://r"), "--join=n1:7000")
	run(baseEnv("REDIS_URL=redis+cluster://r"), "--redis-hash-tags=false")
	run(baseEnv(), "--tls-ca=/nonexistent/ca.pem", "--tls-cert=/nonexistent/cert.pem", "--tls-key=/nonexistent/key.pem")
	run(baseEnv(), "--http-tls-cert=main.go", "--http-tls-key=main.go")
	run(baseEnv("ROLLCALL_ACTOR_ADDR=127.0.0.1:7000"))
	run(baseEnv(), "--node-addr=:7000", "--http-addr=:7000")
	run(baseEnv("ROLLCALL_SYNC_INTERVAL=5"))
	run(baseEnv("ROLLCALL_LIVEKIT_HOST=ftp://x"))
	// The secrets are masked: the golden file holds the words of the cases, not their secrets.
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
	l := nodetest.Load(t, environ)
	if l.Config.Redis.Options().Password != mark+"-3" || l.Config.AdminToken.Reveal() == "" || len(l.Config.LiveKit.SigningKeys()) != 2 {
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
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.code != exitDone || !got.OK || len(got.Settings) != len(serveFlags(t)) {
		t.Errorf("right: %v, %+v", err, o)
	}
	got = checkedConfig{}
	o = command(t, deps{}, nil, "check-config", "--json")
	if err := json.Unmarshal([]byte(o.out), &got); err != nil || o.code != exitUsage || got.OK || len(got.Errors) != 4 {
		t.Errorf("wrong: %v, %+v", err, o)
	}
}

func TestServeGetsTheConfig(t *testing.T) {
	var got config.Config
	d := deps{Serve: func(_ context.Context, c config.Config, _ func() (config.Loaded, error), _ io.Writer) error {
		got = c
		return errors.New("redis is gone")
	}}
	o := command(t, d, baseEnv(), "serve", "--node-id", "n7")
	if got.NodeID != "n7" || o.code != exitFailed || o.errOut != "rollcall: redis is gone\n" {
		t.Errorf("%+v, config %v", o, got)
	}
	called := false
	d.Serve = func(_ context.Context, _ config.Config, _ func() (config.Loaded, error), _ io.Writer) error {
		called = true
		return nil
	}
	if o := command(t, d, nil, "serve"); o.code != exitUsage || called {
		t.Errorf("a wrong configuration: %+v, started %v", o, called)
	}
	if o := command(t, d, baseEnv(), "serve"); o.code != exitDone || !called {
		t.Errorf("a right configuration: %+v, started %v", o, called)
	}
}

// TestNoUserinfoIsShown checks that a URL with user and password in place of an address, an origin, a file or any other
// value is reported without them.
func TestNoUserinfoIsShown(t *testing.T) {
	for _, f := range serveFlags(t) {
		for _, value := range []string{"https://anna:hush-hush@host.example.org", "anna:hush-hush@host.example.org:7000", "https://host.example.org,https://anna:hush,-hush@host:1",
			"redis://:hush-hush%40host:6379", `"https://anna:hush-hush@host`} {
			for _, form := range []string{"", "--json"} {
				args := []string{"check-config", "--" + f.Name + "=" + value}
				if form != "" {
					args = append(args, form)
				}
				var out bytes.Buffer
				_ = run(context.Background(), args, baseEnv(), &out, &out)
				asName := !strings.Contains(value, "://") && (f.Value.Type() == "file" || f.Value.Type() == "directory" || f.Name == "livekit-api-key") // which may have an @
				if strings.Contains(out.String(), "hush") && !asName {
					t.Errorf("--%s=%s %s shows it:\n%s", f.Name, value, form, out.String())
				}
			}
		}
	}
}
