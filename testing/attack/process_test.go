package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
)

// status returns a field of the node's /proc/<pid>/status.
func (w *world) status(field string) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.Pid()))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (w *world) alive() bool {
	state := w.status("State")
	return state != "" && !strings.HasPrefix(state, "Z")
}

func (w *world) peak() string { return "resident " + w.status("VmHWM") + " at most" }

// listeners returns the TCP ports, on 127.0.0.1 and on all interfaces, on which the node's process listens.
func (w *world) listeners(t *testing.T) []string {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", w.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	var addrs []string
	for _, table := range []string{"tcp", "tcp6"} {
		raw, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(raw)) {
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !inodes[f[9]] {
				continue
			}
			var port int
			if _, err := fmt.Sscanf(f[1][strings.LastIndexByte(f[1], ':')+1:], "%X", &port); err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
		}
	}
	return addrs
}

// certificate writes the files of a certificate for 127.0.0.1.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	now := time.Now()
	ca, err := authority.New("attack", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	_, cert, key = certificateOf(t, ca)
	return cert, key
}

// certificateOf does the same with the given authority, whose own certificate it writes too.
func certificateOf(t *testing.T, ca *authority.Authority) (caFile, cert, key string) {
	t.Helper()
	now, dir := time.Now(), t.TempDir()
	pair, err := ca.Issue("n", []string{"127.0.0.1", "localhost"}, now, now.Add(30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("ca.pem", ca.Pair().Cert), write("cert.pem", pair.Cert), write("key.pem", pair.Key)
}
