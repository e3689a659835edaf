package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestNoUserinfoIsShown: a URL with user and password in the place of an address, an origin, a file or any other value is told of without them.
func TestNoUserinfoIsShown(t *testing.T) {
	for _, s := range settings() {
		for _, value := range []string{"https://anna:hush-hush@host.example.org", "anna:hush-hush@host.example.org:7000", "https://host.example.org,https://anna:hush,-hush@host:1",
			"redis://:hush-hush%40host:6379", `"https://anna:hush-hush@host`} {
			for _, form := range []string{"", "--json"} {
				args := []string{"check-config", "--" + s.name + "=" + value}
				if form != "" {
					args = append(args, form)
				}
				var out bytes.Buffer
				_ = run(context.Background(), args, baseEnv(), &out, &out)
				asName := !strings.Contains(value, "://") && (s.kind == "file" || s.kind == "directory" || s.name == "livekit-api-key") // which may have an @
				if strings.Contains(out.String(), "hush") && !asName {
					t.Errorf("--%s=%s %s shows it:\n%s", s.name, value, form, out.String())
				}
			}
		}
	}
}

func TestWithoutUser(t *testing.T) {
	for text, want := range map[string]string{
		"n1:7000":                        "n1:7000",
		"https://a:b@c":                  "https://[redacted]@c",
		"a:b@c:1,d:2":                    "[redacted]@c:1,d:2",
		"https://x,https://a:b,c@d@e":    "https://[redacted]@e",
		"a%40b":                          "[redacted]%40b",
		fmt.Sprint("redis:", "//:p@h/0"): "redis://[redacted]@h/0",
	} {
		if got := withoutUser(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
