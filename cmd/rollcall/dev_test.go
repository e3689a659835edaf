package main

import (
	"context"
	"io"
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

// TestDevMakesUpNobodyInAForeignLiveKit checks how many participants join: some in dev's own LiveKit, none in a LiveKit that a variable
// names unless they are asked for.
func TestDevMakesUpNobodyInAForeignLiveKit(t *testing.T) {
	t.Parallel()
	key := []string{"LIVEKIT_API_KEY=APIabc", "LIVEKIT_API_SECRET=" + strings.Repeat("s", 36)}
	for _, c := range []struct {
		host   string
		args   []string
		want   int
		source string
	}{
		{"", nil, 4, "default"},
		{"LIVEKIT_HOST=https://p.livekit.cloud", nil, 0, "env LIVEKIT_HOST"},
		{"LIVEKIT_URL=wss://p.livekit.cloud", nil, 0, "env LIVEKIT_URL"},
		{"LIVEKIT_URL=wss://p.livekit.cloud", []string{"--participants", "2"}, 2, "env LIVEKIT_URL"},
	} {
		var got DevOptions
		d := deps{Dev: func(_ context.Context, _ config.Config, o DevOptions, _, _ io.Writer) error { got = o; return nil }}
		if o := command(t, d, append(key, c.host, "REDIS_URL=redis://127.0.0.1:1"), append([]string{"dev"}, c.args...)...); o.code != 0 {
			t.Fatalf("%s: %+v", c.host, o)
		}
		if got.Participants != c.want || got.Choice.LiveKit != c.source || got.Choice.Redis != "env REDIS_URL" {
			t.Errorf("%s %q: %+v, want %d participants because of %s", c.host, c.args, got, c.want, c.source)
		}
	}
}
