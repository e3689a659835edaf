package config

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestLiveKitKeys checks that what LiveKit accepts in its own variable means the same here, and that pairs separated by
// commas are accepted as well.
func TestLiveKitKeys(t *testing.T) {
	two := map[string]Secret{"key1": "secret1", "key2": "secret2"}
	one := map[string]Secret{"key1": "secret1"}
	for text, want := range map[string]map[string]Secret{
		"":                                 {},
		"key1: secret1":                    one,
		"{key1: secret1}":                  one,
		`"key1": "secret1"`:                one,
		"'key1': 'secret1'":                one,
		`{"key1": "secret1"}`:              one,
		`{"key1":"secret1"}`:               one,
		"key1: secret1 # the old one":      one,
		"key1: secret1\nkey2: secret2\n":   two,
		"{key1: secret1, key2: secret2}":   two,
		"key1: secret1, key2: secret2":     two,
		"key1: secret1,key2: secret2,":     two,
		`"key1": "secret1", key2: secret2`: two,
		"key1:secret1,key2:secret2":        two,
		" key1: secret1 ,\n key2: secret2": two,
		"key1:\n  secret1":                 one,
		`key1: "a, b: {c} \\ d"`:           {"key1": `a, b: {c} \ d`},
		"key1: a,b":                        {"key1": "a,b"},
	} {
		var c Config
		if err := setLiveKitKeys(&c, text); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if diff := cmp.Diff(want, c.LiveKit.Keys); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		// The result must equal livekit-server's, except for pairs that are separated by commas at the ends of lines.
		var theirs map[string]any
		if err := yaml.Unmarshal([]byte(text), &theirs); err == nil && len(theirs) > 0 {
			for key, value := range theirs {
				if secret, ok := value.(string); ok && !strings.HasSuffix(secret, ",") && string(c.LiveKit.Keys[key]) != secret {
					t.Errorf("%q: to LiveKit the secret of %s is another", text, key)
				}
			}
		}
	}
	for _, text := range []string{"{key1: hunter2", `"key1: hunter2`, "key1: {a: hunter2}", "key1: [hunter2]", "key1: 123456", "{key1}", "key1:", "hunter2",
		`key1: "hunter2`, "key1: hunter2, key1: hunter22", "'key1: hunter2'"} {
		var c Config
		if err := setLiveKitKeys(&c, text); err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("%q: %v, %v", text, err, maps.Keys(c.LiveKit.Keys))
		}
	}
}

// TestLiveKitKeysOfAFile checks that a secret may contain a comma.
func TestLiveKitKeysOfAFile(t *testing.T) {
	file := writeFile(t, "r.yaml", "livekit-keys:\n  a: 'x, y: z'\n  'b c': \"<&>\"\n")
	want := map[string]Secret{"a": "x, y: z", "b c": "<&>"}
	if diff := cmp.Diff(want, mustLoad(t, baseEnv(), "--config", file).Config.LiveKit.Keys); diff != "" {
		t.Error(diff)
	}
}

// TestLiveKitURL checks that the variable of LiveKit's own tools has the lowest precedence of all sources.
func TestLiveKitURL(t *testing.T) {
	const url = "LIVEKIT_URL=wss://tools.example.org"
	rest := []string{"LIVEKIT_API_KEY=APIkey", "LIVEKIT_API_SECRET=s3cr3t-lk", "REDIS_URL=redis://r"}
	l := mustLoad(t, append(rest, url))
	if l.Config.LiveKit.Host != "https://tools.example.org" || l.Sources["livekit-host"] != "env LIVEKIT_URL" {
		t.Errorf("%q from %s", l.Config.LiveKit.Host, l.Sources["livekit-host"])
	}
	file := writeFile(t, "r.yaml", "livekit-host: file.example.org\n")
	for want, got := range map[string]Loaded{
		"https://lk.example.org": mustLoad(t, baseEnv(url)), "https://flag": mustLoad(t, append(rest, url), "--livekit-host=flag"),
		"https://file.example.org": mustLoad(t, append(rest, url), "--config", file),
	} {
		if got.Config.LiveKit.Host != want {
			t.Errorf("%q from %s, want %q", got.Config.LiveKit.Host, got.Sources["livekit-host"], want)
		}
	}
	if l, err := loadArgs(t, ForDev, []string{url}); err != nil || l.Config.LiveKit.Host != "" {
		t.Errorf("dev without a key: %q, %v", l.Config.LiveKit.Host, err)
	}
	if l, err := loadArgs(t, ForDev, append(rest, url)); err != nil || l.Config.LiveKit.Host == "" {
		t.Errorf("dev with one: %q, %v", l.Config.LiveKit.Host, err)
	}
	if _, err := loadArgs(t, ForServe, append(rest, "LIVEKIT_URL=ftp://x")); err == nil || !strings.Contains(err.Error(), "(set in LIVEKIT_URL)") {
		t.Errorf("a wrong one: %v", err)
	}
	if _, err := loadArgs(t, ForServe, rest); err == nil || !strings.Contains(err.Error(), "LIVEKIT_URL") {
		t.Errorf("none: %v", err)
	}
}
