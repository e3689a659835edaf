package authority

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFilesNearTheAuthoritysEnd checks that a certificate which would outlive its authority is refused, with nothing written.
func TestFilesNearTheAuthoritysEnd(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "certs"), Days: 365}
	now := time.Now()
	if _, err := MakeFiles(o, []Request{{"n1", []string{"n1"}}}, now); err != nil {
		t.Fatal(err)
	}
	later := now.AddDate(9, 6, 0)
	_, err := MakeFiles(o, []Request{{"n2", []string{"n2"}}}, later)
	if !errors.Is(err, ErrOutlives) || !strings.Contains(err.Error(), "give fewer --days") {
		t.Error(err)
	}
	if exists(filepath.Join(o.Dir, "n2.pem")) || exists(filepath.Join(o.Dir, "n2-key.pem")) {
		t.Error("something was written")
	}
	o.Days = 30
	if _, err := MakeFiles(o, []Request{{"n2", []string{"n2"}}}, later); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) != 6 {
		t.Errorf("%v, %v: want the authority's two files and two for each node", left, err)
	}
}

func TestGoodHost(t *testing.T) {
	for host, good := range map[string]bool{
		"n1": true, "n1.example.org": true, "*.rollcall.svc": true, "rollcall_1": true, "10.0.0.1": true, "::1": true, "1a.b": true,
		"": false, "10.0.0": false, "10.0.0.256": false, "[::1]": false, "fe80::1%eth0": false, "n1:7000": false, "a..b": false,
		"a.": false, "-a": false, "a-": false, "a b": false, "*": false, "a.*.b": false, "ü": false, "http://a": false,
		strings.Repeat("a", 64): false, strings.Repeat("abc.", 64) + "d": false,
	} {
		if GoodHost(host) != good {
			t.Errorf("%q: good is %v", host, !good)
		}
	}
}
