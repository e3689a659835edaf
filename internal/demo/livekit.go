package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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
	// stopped is set when Stop has begun.
	stopped atomic.Bool
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

// Port is where the API of LiveKit listens, if that port is free. It is livekit-server's own default.
const Port = 7880

// StartLiveKit starts the livekit-server binary bin with its webhooks sent to the URL hook, and waits until it answers. An empty key means
// "devkey" with a random secret.
func StartLiveKit(ctx context.Context, bin, hook, key, secret string) (*LiveKit, error) {
	l := &LiveKit{Key: key, Secret: secret, ended: make(chan struct{})}
	if key == "" {
		l.Key, l.Secret = "devkey", rand.Text()+rand.Text()
	}
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
	addr, err := FreeAddr(Port)
	if err != nil {
		return err
	}
	udp, err := freeUDP()
	if err != nil {
		return err
	}
	l.URL = "http://" + addr
	config := filepath.Join(l.dir, "livekit.yaml")
	if err := os.WriteFile(config, []byte(l.config(addr, udp, hook)), 0o600); err != nil {
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

func (l *LiveKit) config(addr string, udp int, hook string) string {
	_, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf(`port: %s
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

// ReportEnd writes to out when livekit-server ends by itself, and nothing if Stop ends it. It returns then, or when ctx ends.
func (l *LiveKit) ReportEnd(ctx context.Context, out io.Writer) {
	select {
	case <-l.ended:
		if l.stopped.Load() {
			return
		}
		fmt.Fprintf(out, "\nlivekit-server has ended: nobody can join or leave any more. End dev with Ctrl-C and start it again. Its log ends with:\n%s\n\n", l.logTail())
	case <-ctx.Done():
	}
}

// Stop asks livekit-server twice, as it requires while somebody is still connected, and then kills it.
func (l *LiveKit) Stop() {
	defer os.RemoveAll(l.dir)
	l.stopped.Store(true)
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

// FreeAddr returns a free loopback address: with the given port, or, if another program has that, with any.
func FreeAddr(port int) (string, error) {
	err := error(nil)
	for _, try := range []int{port, 0} {
		listener, taken := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", try))
		if err = taken; err == nil {
			defer listener.Close()
			return listener.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}

func freeUDP() (int, error) {
	u, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free UDP port: %w", err)
	}
	defer u.Close()
	return u.LocalAddr().(*net.UDPAddr).Port, nil
}
