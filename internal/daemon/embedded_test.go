package daemon

import (
	"os/exec"
	"strings"
	"testing"
)

// TestRedisCLITakesTheEmbeddedURL runs redis-cli as dev and the documents tell people to.
func TestRedisCLITakesTheEmbeddedURL(t *testing.T) {
	t.Parallel()
	e, err := startEmbedded("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	out, err := exec.CommandContext(t.Context(), "redis-cli", "-u", e.url(), "SET", "a", "b").Output() // its warning about passwords goes to stderr
	if err != nil || strings.TrimSpace(string(out)) != "OK" {
		t.Errorf("redis-cli -u %s: %q, %v", e.url(), out, err)
	}
}
