package demo

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

// LiveKit is a livekit-server process on loopback.
type LiveKit struct {
	// URL, Key and Secret are those of its API.
	URL, Key, Secret string
	// Log is the path of its log.
	Log string

	dir   string
	cmd   *exec.Cmd
	ended chan struct{}
}

const noLiveKit = "dev needs a LiveKit: give --livekit-server the path of a livekit-server binary (`make dev` builds one), " +
	"put one beside rollcall or on the PATH, or set LIVEKIT_HOST, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to use yours"

// FindLiveKit returns the path of a livekit-server: path itself, or if that is empty, the one in dir or on the PATH.
func FindLiveKit(path, dir string) (string, error) {
	tries := []string{path}
	if path == "" {
		tries = []string{filepath.Join(dir, "livekit-server"), "livekit-server"}
	}
	var err error
	for _, try := range tries {
		var bin string
		if bin, err = exec.LookPath(try); err == nil {
			return bin, nil
		}
	}
	return "", fmt.Errorf("%s: %w", noLiveKit, err)
}

// StartLiveKit starts the livekit-server binary bin with its webhooks sent to the URL hook, and waits until it answers.
func StartLiveKit(ctx context.Context, bin, hook string) (*LiveKit, error) {
	l := &LiveKit{Key: "devkey", Secret: rand.Text() + rand.Text(), ended: make(chan struct{})}
	var err error
	if l.dir, err = os.MkdirTemp("", "rollcall-dev-"); err != nil {
		return nil, fmt.Errorf("make a directory for livekit-server: %w", err)
	}
	l.Log = filepath.Join(l.dir, "livekit.log")
	if err := l.start(ctx, bin, hook); err != nil {
		l.Stop()
		return nil, err
	}
	return l, nil
}

func (l *LiveKit) start(ctx context.Context, bin, hook string) error {
	port, udp, err := freePorts()
	if err != nil {
		return err
	}
	l.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	config := filepath.Join(l.dir, "livekit.yaml")
	if err := os.WriteFile(config, []byte(l.config(port, udp, hook)), 0o600); err != nil {
		return fmt.Errorf("write livekit-server's configuration: %w", err)
	}
	log, err := os.Create(l.Log)
	if err != nil {
		return fmt.Errorf("open livekit-server's log: %w", err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(bin, "--config", config, "--node-ip", "127.0.0.1")
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C reaches the whole foreground group: livekit-server must live until its participants have left.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start livekit-server: %w", err)
	}
	l.cmd = cmd
	go func() {
		_ = cmd.Wait() // its log says how it ended
		close(l.ended)
	}()
	return l.awaitReady(ctx)
}

func (l *LiveKit) config(port, udp int, hook string) string {
	return fmt.Sprintf(`port: %d
bind_addresses: [127.0.0.1]
keys: {%q: %q}
logging: {level: info, pion_level: error}
rtc: {tcp_port: 0, udp_port: %d, interfaces: {includes: [lo]}, enable_loopback_candidate: true, stun_servers: []}
room: {empty_timeout: 20, departure_timeout: 5}
webhook: {api_key: %q, urls: [%q]}
`, port, l.Key, l.Secret, udp, l.Key, hook)
}

func (l *LiveKit) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if answers(ctx, l.URL) {
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

func (l *LiveKit) logTail() string {
	raw, err := os.ReadFile(l.Log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(raw[max(0, len(raw)-2048):]))
}

// Stop asks livekit-server twice, as it requires while somebody is still connected, and then kills it.
func (l *LiveKit) Stop() {
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
