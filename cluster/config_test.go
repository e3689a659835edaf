package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

func TestValidate(t *testing.T) {
	run := func(context.Context, Term) error { return nil }
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"as it is", func(*Config) {}, ""},
		{"in memory without a network", func(c *Config) { c.DataDir, c.NodeAddr = "", "" }, ""},
		{"no id", func(c *Config) { c.NodeID = "" }, "--node-id"},
		{"control character", func(c *Config) { c.NodeID = "n\n1" }, "--node-id"},
		{"not UTF-8", func(c *Config) { c.NodeID = "n\xff" }, "--node-id"},
		{"long id", func(c *Config) { c.NodeID = strings.Repeat("n", 65) }, "--node-id"},
		{"no node to found with", func(c *Config) { c.BootstrapExpect = 3 }, "--join"},
		{"too many founders", func(c *Config) { c.BootstrapExpect, c.Join = 6, []string{"a:1"} }, "--bootstrap-expect"},
		{"a cluster without a network", func(c *Config) { c.DataDir, c.NodeAddr, c.Join = "", "", []string{"a:1"} }, "--node-addr"},
		{"half of TLS", func(c *Config) { c.ServerTLS = &tls.Config{} }, "TLS"},
		{"alone without a network", func(c *Config) { c.NodeAddr = "" }, ""},
		{"no generation", func(c *Config) { c.Generation = nil }, "Generation"},
		{"task without a name", func(c *Config) { c.Tasks = []Task{{Every: 1, Run: run}} }, "no name"},
		{"task without an interval", func(c *Config) { c.Tasks = []Task{{Name: "a", Run: run}} }, "Every"},
		{"task with too much jitter", func(c *Config) { c.Tasks = []Task{{Name: "a", Every: 1, Jitter: 1, Run: run}} }, "Jitter"},
		{"task that does nothing", func(c *Config) { c.Tasks = []Task{{Name: "a", Every: 1}} }, "no Run"},
		{"task twice", func(c *Config) { c.Tasks = []Task{{Name: "a", Every: 1, Run: run}, {Name: "a", Every: 1, Run: run}} }, "two tasks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(t.TempDir())
			tt.change(&cfg)
			err := cfg.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestListenAddr(t *testing.T) {
	tests := []struct {
		addr, advertise string
		insecure        bool
		want, err       string
	}{
		{addr: ":7000", want: "127.0.0.1:7000"},
		{addr: ":0", want: "127.0.0.1:0"},
		{addr: "[::1]:7000", want: "[::1]:7000"},
		{addr: "localhost:7000", want: "localhost:7000"},
		{addr: "10.0.0.1:7000", err: "--insecure"},
		{addr: "10.0.0.1:7000", insecure: true, want: "10.0.0.1:7000"},
		{addr: ":7000", advertise: "node-1:7000", err: "--insecure"},
		{addr: ":7000", advertise: "node-1:7000", insecure: true, want: ":7000"},
		{addr: "0.0.0.0:7000", insecure: true, err: "--node-advertise"},
		{addr: "7000", err: "--node-addr"},
		{addr: ":7000", advertise: "node-1", err: "--node-advertise"},
	}
	for _, tt := range tests {
		got, err := listenAddr(Config{NodeAddr: tt.addr, NodeAdvertise: tt.advertise, Insecure: tt.insecure})
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
}

func TestAdvertisedNameIsKept(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	cfg.NodeAdvertise = "node-1.example:7000"
	n := openReady(t, cfg)
	if s := n.Status(); s.NodeAddr != "node-1.example:7000" || s.Members[0].NodeAddr != "node-1.example:7000" {
		t.Errorf("status %+v", s)
	}
}

func TestRaftLogGoesToSlog(t *testing.T) {
	var out bytes.Buffer
	l := raftLogger(slog.New(slog.NewTextHandler(&out, nil)))
	l.Named("net").Warn("took long", "peer", hclog.Fmt("%s/%d", "n2", 7), "took", time.Second)
	l.Error("went wrong")
	l.Info("ordinary")
	l.Error("cannot read on", "error", raft.ErrTransportShutdown) // at the stop of this node
	for range 3 {                                                 // logged once for the same peer
		l.Error("no answer", "peer", "n3")
	}
	l.Error("no answer", "peer", "n4")
	want := []string{`level=INFO msg="took long" component=raft.net peer=n2/7 took=1s`, `level=WARN msg="went wrong" component=raft`,
		`level=WARN msg="no answer" component=raft peer=n3`, `level=WARN msg="no answer" component=raft peer=n4`}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("got:\n%s", out.String())
	}
	for i := range want {
		if !strings.HasSuffix(lines[i], want[i]) {
			t.Errorf("got %s, want %s", lines[i], want[i])
		}
	}
}

// TestTakenPortHasAdvice checks that the error of a node port that is in use says what to do.
func TestTakenPortHasAdvice(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := Config{NodeID: "n1", NodeAddr: l.Addr().String(), Insecure: true, Logger: slog.New(slog.DiscardHandler)}
	if _, err := openEndpoint(t.Context(), cfg, raftLogger(cfg.Logger)); err == nil || !strings.Contains(err.Error(), "--node-addr 127.0.0.1:") || !strings.Contains(err.Error(), "another program has this port") {
		t.Error(err)
	}
}
