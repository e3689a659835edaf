// Package livekitserver runs a livekit-server process on loopback, for `rollcall dev` and for tests.
package livekitserver

import (
	"context"
	"encoding/json"
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

// Options configure a Server. Bin, Dir, Key and Secret are required.
type Options struct {
	// Bin is the path of the livekit-server binary.
	Bin string
	// Dir is the directory of the configuration and the log.
	Dir string
	// Addr is where the API listens, host:port. UDPPort is for media. Default: free ports.
	Addr    string
	UDPPort int
	// Key and Secret are an API key that the server accepts, with which it also signs the webhooks.
	Key, Secret string
	// Keys are further API keys with their secrets.
	Keys map[string]string
	// URLs receive the webhooks.
	URLs []string
	// Redis is the address (host:port) of a Redis that stores the rooms; "" keeps them in memory.
	Redis string
	// EmptyTimeout and DepartureTimeout are when empty rooms close, in seconds. Default: LiveKit's own 300 and 20.
	EmptyTimeout, DepartureTimeout int
	// AskNodes sets api.enable_psrpc_for_get_list_participants: ListParticipants asks the room's node, and answers unavailable
	// after 3 s for a room without a node.
	AskNodes bool
	// OwnGroup keeps the terminal's Ctrl-C from the server, for a caller that ends its processes in its own order.
	OwnGroup bool
}

// Server is a livekit-server process.
type Server struct {
	Options
	// Log is the path of its log.
	Log string
	// Done is closed once the process has ended.
	Done chan struct{}

	process *os.Process
}

// Start starts a server and returns when it answers. ctx limits only the start. The server's Options include the ports that were
// chosen, so another Start with them replaces a server that has ended.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.choosePorts(); err != nil {
		return nil, err
	}
	s := &Server{Options: o, Log: filepath.Join(o.Dir, "livekit.log"), Done: make(chan struct{})}
	config, err := json.Marshal(o.config()) // JSON is YAML
	if err != nil {
		return nil, fmt.Errorf("encode livekit-server's configuration: %w", err)
	}
	path := filepath.Join(o.Dir, "livekit.yaml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return nil, fmt.Errorf("write livekit-server's configuration: %w", err)
	}
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open livekit-server's log: %w", err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(o.Bin, "--config", path, "--node-ip", "127.0.0.1")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: o.OwnGroup}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start livekit-server: %w", err)
	}
	s.process = cmd.Process
	go func() {
		_ = cmd.Wait() // its log says how it ended
		close(s.Done)
	}()
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return nil, fmt.Errorf("livekit-server is not ready: %w; its log ends with:\n%s", err, s.LogTail())
	}
	return s, nil
}

// URL returns the server's HTTP address, such as http://127.0.0.1:7880.
func (s *Server) URL() string { return "http://" + s.Addr }

// LogTail returns the end of the log.
func (s *Server) LogTail() string {
	raw, err := os.ReadFile(s.Log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(raw[max(0, len(raw)-4096):]))
}

// Stop sends SIGTERM, and after a second another one, which a server needs that waits for its participants to leave. It kills a
// server that takes longer than patience after that.
func (s *Server) Stop(patience time.Duration) {
	for _, wait := range []time.Duration{time.Second, patience} {
		_ = s.process.Signal(syscall.SIGTERM) // it may have ended by itself
		select {
		case <-s.Done:
			return
		case <-time.After(wait):
		}
	}
	s.Kill()
}

// Kill sends SIGKILL and returns when the process has ended.
func (s *Server) Kill() {
	_ = s.process.Kill() // it may have ended by itself
	<-s.Done
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.answers(ctx) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.Done:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL(), nil)
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

// object is a part of a configuration.
type object = map[string]any

func (o Options) config() object {
	_, port, _ := net.SplitHostPort(o.Addr)
	keys, room := object{o.Key: o.Secret}, object{}
	for key, secret := range o.Keys {
		keys[key] = secret
	}
	if o.EmptyTimeout > 0 {
		room["empty_timeout"] = o.EmptyTimeout
	}
	if o.DepartureTimeout > 0 {
		room["departure_timeout"] = o.DepartureTimeout
	}
	return object{
		"port": json.Number(port), "bind_addresses": []string{"127.0.0.1"}, "logging": object{"level": "info", "pion_level": "error"}, "keys": keys,
		"rtc": object{"tcp_port": 0, "udp_port": o.UDPPort, "interfaces": object{"includes": []string{"lo"}}, "enable_loopback_candidate": true,
			"stun_servers": []string{}},
		"room": room, "webhook": object{"api_key": o.Key, "urls": o.URLs}, "redis": object{"address": o.Redis},
		"api": object{"enable_psrpc_for_get_list_participants": o.AskNodes},
	}
}

// choosePorts replaces missing ports with free ones.
func (o *Options) choosePorts() error {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free UDP port: %w", err)
	}
	defer udp.Close()
	if o.Addr == "" {
		o.Addr = tcp.Addr().String()
	}
	if o.UDPPort == 0 {
		o.UDPPort = udp.LocalAddr().(*net.UDPAddr).Port
	}
	return nil
}
