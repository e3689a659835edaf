package main

import (
	"net"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/internal/config"
)

func TestDevAddr(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if addr, err := devAddr(config.Config{HTTPAddr: "127.0.0.1:0"}); err != nil || strings.HasSuffix(addr, ":0") {
		t.Errorf("a free port: %q, %v", addr, err)
	}
	if addr, err := devAddr(config.Config{HTTPAddr: l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "another program has this port") {
		t.Errorf("a port that was asked for and is taken: %q, %v", addr, err)
	}
}
