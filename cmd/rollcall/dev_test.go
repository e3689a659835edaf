package main

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestAJoinErrorShowsNoToken(t *testing.T) {
	t.Parallel()
	said := aToken.ReplaceAllString(errors.New("join: invalid token: eyJhbGciOiJIUzI1NiIs.eyJpc3MiOiJr.c2ln-_x, error; "+
		"Get https://h/rtc?access_token=eyJx.y.z&sdk=go").Error(), redacted)
	for _, secret := range []string{"eyJ", "c2ln", "y.z"} {
		if strings.Contains(said, secret) {
			t.Errorf("%q is still in %s", secret, said)
		}
	}
	if !strings.Contains(said, "invalid token") || !strings.Contains(said, "sdk=go") {
		t.Errorf("too much went: %s", said)
	}
}

func TestDevAddr(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if addr, err := devAddr(Config{HTTPAddr: "127.0.0.1:0"}); err != nil || strings.HasSuffix(addr, ":0") {
		t.Errorf("a free port: %q, %v", addr, err)
	}
	if addr, err := devAddr(Config{HTTPAddr: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "another program has this port") {
		t.Errorf("a port that was asked for and is taken: %q, %v", addr, err)
	}
}
