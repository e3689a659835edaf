package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
)

// TestExpiry checks that an expired certificate between nodes is refused, and that one of HTTP, and any that ends soon, is a warning.
func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name               string
		left               time.Duration
		problems, warnings int
	}{{"valid", 31 * day, 0, 0}, {"soon", 29 * day, 0, 2}, {"expired", -time.Hour, 1, 1}} {
		dir := t.TempDir()
		if _, err := authority.MakeFiles(authority.Options{Dir: dir, Days: 90}, []authority.Request{{Name: "n1", Hosts: []string{"127.0.0.1"}}}, time.Now().Add(tt.left-90*day)); err != nil {
			t.Fatal(err)
		}
		c := Config{PeerTLS: PeerTLS{CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "n1.pem"), KeyFile: filepath.Join(dir, "n1-key.pem")}}
		c.HTTPTLS = HTTPTLS{CertFile: c.PeerTLS.CertFile, KeyFile: c.PeerTLS.KeyFile}
		var problems []string
		checkTLS(&c, func(name, problem string) { problems = append(problems, name+": "+problem) })
		warned := expiryWarnings(&c)
		if len(problems) != tt.problems || len(warned) != tt.warnings {
			t.Errorf("%s: problems %q, warnings %q", tt.name, problems, warned)
		}
		for _, line := range append(problems, warned...) {
			if !strings.Contains(line, "n1.pem expire") || !strings.Contains(line, time.Now().Add(tt.left).UTC().Format(time.DateOnly)) {
				t.Errorf("%s: %s", tt.name, line)
			}
		}
	}
}
