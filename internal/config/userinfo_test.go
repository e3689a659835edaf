package config

import (
	"fmt"
	"testing"
)

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
