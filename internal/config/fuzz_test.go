package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mark is part of every secret in these tests.
const mark = "hunter2"

// wrongValues are bad values, each as "setting=value".
func wrongValues(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile("testdata/wrong-values.txt")
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// FuzzSettings gives each setting a text and checks that a secret's problem quotes nothing, and that an accepted value is
// shown as a text that is accepted with the same meaning.
func FuzzSettings(f *testing.F) {
	all := settings()
	for i, s := range all {
		f.Add(uint8(i), s.def)
	}
	for _, value := range wrongValues(f) {
		name, text, _ := strings.Cut(value, "=")
		for i, s := range all {
			if s.name == name {
				f.Add(uint8(i), text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		s := all[int(which)%len(all)]
		var c, again Config
		if err := s.set(&c, text); err != nil {
			problem := refusedText(s, text, err)
			if problem == "" || strings.Contains(problem, mark) && s.secret || len(problem) > 8*len(text)+1000 {
				t.Fatalf("%s: %s", s.name, problem)
			}
			if at := strings.LastIndex(text, "@"); at > 0 && strings.Contains(problem, mark) && !strings.Contains(text[at:], mark) {
				t.Fatalf("%s shows what stands before the @: %s", s.name, problem)
			}
			return
		}
		shown := s.show(&c)
		public := s.name == "redis-url" && !strings.Contains(text, "@") // a URL without a password is shown
		if s.secret && !public && len(text) > 3 && strings.Contains(shown, text) && shown != text {
			t.Fatalf("%s shows %q", s.name, shown)
		}
		if s.secret || s.name == "redis-url" || strings.Contains(shown, redacted) {
			return // what is shown is not the value
		}
		if err := s.set(&again, shown); err != nil {
			t.Fatalf("%s of %q shows %q, which is refused: %v", s.name, text, shown, err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Fatalf("%s of %q shows %q:\n%s", s.name, text, shown, diff)
		}
	})
}

// FuzzConfigFile reads files and checks that only settings that the file names are found, and that no problem shows a value.
func FuzzConfigFile(f *testing.F) {
	for _, text := range []string{"sync-interval: 11s\n", "sync_interval: 1s", "join: [a:7000, b:7000]", "livekit-api-secret: hunter2", "livekit-keys:\n  a: hunter2\n",
		"livekit-keys: {a: 5}", "redis-url: {a: hunter2}", "hunter2\n", "- hunter2", "admin-token: 0123", "a: &x [*x]", "raft-addr: x", "change-feed: ~"} {
		f.Add(text)
	}
	path := filepath.Join(f.TempDir(), "r.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &problems{}
		read := fileSource(path, p)
		for _, line := range p.lines {
			if !strings.HasPrefix(line, "--config, ") || strings.Contains(line, mark) && !strings.Contains(keysOf(text), mark) {
				t.Fatalf("%q: %q", text, line)
			}
		}
		for _, s := range settings() {
			value, source, ok := read(s)
			if !ok {
				continue
			}
			if source != "file "+path {
				t.Fatalf("%s is of %q", s.name, source)
			}
			if !strings.Contains(text, s.name) && !strings.ContainsAny(text, "\\\x00") {
				t.Fatalf("%q sets %s to %q", text, s.name, value)
			}
		}
	})
}

// keysOf returns what comes before the first colon of each line.
func keysOf(text string) (keys string) {
	for line := range strings.Lines(text) {
		key, _, _ := strings.Cut(line, ":")
		keys += key
	}
	return keys
}

// FuzzEnvironment reads variables and checks that a source never overrides one of higher precedence, and that an empty
// variable counts as unset.
func FuzzEnvironment(f *testing.F) {
	f.Add("ROLLCALL_SYNC_INTERVAL", "5s", "REDIS_URL", "redis://:hunter2@h")
	f.Add("LIVEKIT_URL", "ws://x", "LIVEKIT_HOST", "")
	f.Add("ROLLCALL_RAFT_ADDR", "x", "ROLLCALL_SYNC_INTERVALL", "5s")
	f.Add("A.B", "c", "=", "=")
	f.Fuzz(func(t *testing.T, a, valueA, b, valueB string) {
		if strings.ContainsAny(a+b, "=\x00") || a == "" || b == "" || strings.HasPrefix(b, a+".") || strings.HasPrefix(a, b+".") {
			return // not valid names of variables
		}
		environ := []string{a + "=" + valueA, b + "=" + valueB}
		vars := Environment(environ)
		want := map[string]string{}
		for _, pair := range [][2]string{{a, valueA}, {b, valueB}} {
			if pair[1] != "" {
				want[pair[0]] = pair[1]
			}
		}
		if a != b {
			if diff := cmp.Diff(want, vars); diff != "" {
				t.Fatal(diff)
			}
		}
		for _, warning := range strangeVariables(environ) {
			if strings.Contains(warning, "hunter2") && !strings.Contains(a+b, "hunter2") {
				t.Fatal(warning)
			}
		}
		for _, s := range settings() {
			if value, source, ok := envSource(vars)(s); ok && (value == "" || vars[strings.TrimPrefix(source, "env ")] != value) {
				t.Fatalf("%s is %q of %q", s.name, value, source)
			}
		}
	})
}

// FuzzLiveKitKeys reads pairs of keys and secrets and checks that none is empty, that each occurs in the text, and that a
// problem quotes no part of it.
func FuzzLiveKitKeys(f *testing.F) {
	for _, text := range []string{"a: hunter2, b: hunter22", "a:hunter2\nb:hunter2", "{a: hunter2}", "a: hunter2\nb: 'hun''ter2'\n", "a: 0123", "a:hunter2,a:hunter2", "hunter2", ":", `a: "`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c Config
		if err := setLiveKitKeys(&c, text); err != nil {
			if c.LiveKit.Keys != nil || strings.Contains(err.Error(), mark) {
				t.Fatalf("%v, and %v", err, c.LiveKit.Keys)
			}
			return
		}
		for key, secret := range c.LiveKit.Keys {
			if key == "" || secret == "" {
				t.Fatalf("%q is read as %q: %q", text, key, secret.Reveal())
			}
			if plain := !strings.ContainsAny(text, "\\\"'|>\n\r!") && strings.ToValidUTF8(text, "") == text; plain && (!strings.Contains(text, key) || !strings.Contains(text, secret.Reveal())) {
				t.Fatalf("%q is read as %q: %q", text, key, secret.Reveal())
			}
		}
		if shown := showLiveKitKeys(&c); strings.Contains(shown, mark) && !strings.Contains(strings.Join(sortedKeys(c.LiveKit.Keys), ""), mark) {
			t.Fatal(shown)
		}
	})
}
