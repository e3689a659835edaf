package daemon

import (
	"os/exec"
	"strings"
	"testing"
)

// TestRedisCLITakesTheEmbeddedURL runs redis-cli as dev and the documents tell people to.
func TestRedisCLITakesTheEmbeddedURL(t *testing.T) {
	t.Parallel()
	e, err := startEmbedded("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop()
	out, err := exec.CommandContext(t.Context(), "redis-cli", "-u", e.url(), "SET", "a", "b").Output() // its warning about passwords goes to stderr
	if err != nil || strings.TrimSpace(string(out)) != "OK" {
		t.Errorf("redis-cli -u %s: %q, %v", e.url(), out, err)
	}
}

// TestEmbeddedAsGiven checks the address and the password that dev chooses, so that they are the same at each start.
func TestEmbeddedAsGiven(t *testing.T) {
	t.Parallel()
	first, err := startEmbedded("", "secret")
	if err != nil {
		t.Fatal(err)
	}
	url, addr := first.url(), first.server.Addr()
	first.stop()
	again, err := startEmbedded(addr, "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer again.stop()
	if again.url() != url || url != "redis://default:secret@"+addr {
		t.Errorf("first %s, then %s", url, again.url())
	}
}
