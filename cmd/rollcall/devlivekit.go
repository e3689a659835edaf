package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// devLiveKit is the livekit-server that dev runs when no LiveKit is configured.
type devLiveKit struct {
	url, key, secret string
	dir              string
	cmd              *exec.Cmd
	ended            chan struct{}
}

const noLiveKit = "dev needs a LiveKit: give --livekit-server the path of a livekit-server binary (`make dev` builds one), " +
	"or set LIVEKIT_HOST, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to use yours"

// startDevLiveKit starts livekit-server on loopback, with its webhooks sent to hook, and waits until it answers.
func startDevLiveKit(ctx context.Context, path, hook string) (*devLiveKit, error) {
	if path == "" {
		path = "livekit-server"
	}
	bin, err := exec.LookPath(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", noLiveKit, err)
	}
	l := &devLiveKit{key: "devkey", secret: rand.Text() + rand.Text(), ended: make(chan struct{})}
	if l.dir, err = os.MkdirTemp("", "rollcall-dev-"); err != nil {
		return nil, fmt.Errorf("make a directory for livekit-server: %w", err)
	}
	if err := l.start(ctx, bin, hook); err != nil {
		l.stop()
		return nil, err
	}
	return l, nil
}

func (l *devLiveKit) start(ctx context.Context, bin, hook string) error {
	port, udp, err := freePorts()
	if err != nil {
		return err
	}
	l.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	config := filepath.Join(l.dir, "livekit.yaml")
	if err := os.WriteFile(config, []byte(l.config(port, udp, hook)), 0o600); err != nil {
		return fmt.Errorf("write livekit-server's configuration: %w", err)
	}
	log, err := os.Create(l.log())
	if err != nil {
		return fmt.Errorf("open livekit-server's log: %w", err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(bin, "--config", config, "--node-ip", "127.0.0.1")
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C reaches the whole foreground group: livekit-server must outlive its participants' goodbyes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start livekit-server: %w", err)
	}
	l.cmd = cmd
	go func() {
		_ = cmd.Wait() // how it ended stands in its log
		close(l.ended)
	}()
	return l.awaitReady(ctx)
}

func (l *devLiveKit) config(port, udp int, hook string) string {
	return fmt.Sprintf(`port: %d
bind_addresses: [127.0.0.1]
keys: {%q: %q}
logging: {level: info, pion_level: error}
rtc: {tcp_port: 0, udp_port: %d, interfaces: {includes: [lo]}, enable_loopback_candidate: true, stun_servers: []}
room: {empty_timeout: 20, departure_timeout: 5}
webhook: {api_key: %q, urls: [%q]}
`, port, l.key, l.secret, udp, l.key, hook)
}

func (l *devLiveKit) log() string { return filepath.Join(l.dir, "livekit.log") }

func (l *devLiveKit) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if answers(ctx, l.url) {
			return nil
		}
		select {
		case <-tick.C:
		case <-l.ended:
			return fmt.Errorf("livekit-server ended at once; its log ends with:\n%s", l.logTail())
		case <-ctx.Done():
			return fmt.Errorf("livekit-server does not answer: %w; its log ends with:\n%s", ctx.Err(), l.logTail())
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (l *devLiveKit) logTail() string {
	raw, err := os.ReadFile(l.log())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(raw[max(0, len(raw)-2048):]))
}

// stop asks twice, as livekit-server wants when somebody is still connected, then insists.
func (l *devLiveKit) stop() {
	defer os.RemoveAll(l.dir)
	if l.cmd == nil {
		return
	}
	for _, wait := range []time.Duration{time.Second, 2 * time.Second} {
		_ = l.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		select {
		case <-l.ended:
			return
		case <-time.After(wait):
		}
	}
	_ = l.cmd.Process.Kill()
	<-l.ended
}

func freePorts() (tcp, udp int, err error) {
	t, err1 := net.Listen("tcp4", "127.0.0.1:0")
	u, err2 := net.ListenPacket("udp4", "127.0.0.1:0")
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("find free ports: %w", err)
	}
	defer t.Close()
	defer u.Close()
	return t.Addr().(*net.TCPAddr).Port, u.LocalAddr().(*net.UDPAddr).Port, nil
}
