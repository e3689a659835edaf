package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
)

// TestCertNearTheAuthoritysEnd holds that a certificate which its authority would not cover is refused, with nothing written.
func TestCertNearTheAuthoritysEnd(t *testing.T) {
	o := certOptions{dir: filepath.Join(t.TempDir(), "certs"), days: nodeDays}
	now := time.Now()
	if _, err := makeCerts(o, []certRequest{{"n1", []string{"n1"}}}, now); err != nil {
		t.Fatal(err)
	}
	later := now.AddDate(9, 6, 0)
	_, err := makeCerts(o, []certRequest{{"n2", []string{"n2"}}}, later)
	if !errors.Is(err, authority.ErrOutlives) || !strings.Contains(err.Error(), "give fewer --days") {
		t.Error(err)
	}
	if exists(filepath.Join(o.dir, "n2.pem")) || exists(filepath.Join(o.dir, "n2-key.pem")) {
		t.Error("something was written")
	}
	o.days = 30
	if _, err := makeCerts(o, []certRequest{{"n2", []string{"n2"}}}, later); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(o.dir)
	if err != nil || len(left) != 6 {
		t.Errorf("%v, %v: want the authority's two files and two for each node", left, err)
	}
}

func TestCertHosts(t *testing.T) {
	for host, good := range map[string]bool{
		"n1": true, "n1.example.org": true, "*.rollcall.svc": true, "rollcall_1": true, "10.0.0.1": true, "::1": true, "1a.b": true,
		"": false, "10.0.0": false, "10.0.0.256": false, "[::1]": false, "fe80::1%eth0": false, "n1:7000": false, "a..b": false,
		"a.": false, "-a": false, "a-": false, "a b": false, "*": false, "a.*.b": false, "ü": false, "http://a": false,
		strings.Repeat("a", 64): false, strings.Repeat("abc.", 64) + "d": false,
	} {
		if goodCertHost(host) != good {
			t.Errorf("%q: good is %v", host, !good)
		}
	}
}

// TestCertsTalk holds that what `rollcall cert` makes is what nodes accept of each other.
func TestCertsTalk(t *testing.T) {
	dir := t.TempDir()
	if o := command(t, deps{}, nil, "cert", "--dir", dir, "n1=10.0.0.1", "n2"); o.code != exitDone {
		t.Fatalf("%+v", o)
	}
	files := func(name string) PeerTLS {
		cert, key := pairFiles(dir, name)
		return PeerTLS{filepath.Join(dir, "ca.pem"), cert, key}
	}
	server, _, err := peerTLS(files("n1"), noLog)
	if err != nil {
		t.Fatal(err)
	}
	_, client, err := peerTLS(files("n2"), noLog)
	if err != nil {
		t.Fatal(err)
	}
	if err := talk(server, client.config("10.0.0.1")); err != nil {
		t.Error(err)
	}
	if err := talk(server, client.config("localhost")); err == nil {
		t.Error("a node with hosts answers to localhost too")
	}
}
