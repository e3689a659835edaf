package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/internal/livekitserver"
)

// LiveKit is a livekit-server process on loopback.
type LiveKit struct {
	*livekitserver.Server

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
	if key == "" {
		key, secret = "devkey", rand.Text()+rand.Text()
	}
	addr, err := FreeAddr(Port)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rollcall-dev-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for livekit-server: %w", err)
	}
	// Ctrl-C reaches the whole foreground group: livekit-server must live until its participants have left.
	server, err := livekitserver.Start(ctx, livekitserver.Options{Bin: bin, Dir: dir, Addr: addr, Key: key, Secret: secret, URLs: []string{hook},
		EmptyTimeout: 20, DepartureTimeout: 5, OwnGroup: true})
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return &LiveKit{Server: server}, nil
}

// ReportEnd writes to out when livekit-server ends by itself, and nothing if Stop ends it. It returns then, or when ctx ends.
func (l *LiveKit) ReportEnd(ctx context.Context, out io.Writer) {
	select {
	case <-l.Done:
		if l.stopped.Load() {
			return
		}
		fmt.Fprintf(out, "\nlivekit-server has ended: nobody can join or leave any more. End dev with Ctrl-C and start it again. Its log ends with:\n%s\n\n", l.LogTail())
	case <-ctx.Done():
	}
}

// Stop stops the server and removes its files.
func (l *LiveKit) Stop() {
	l.stopped.Store(true)
	l.Server.Stop(2 * time.Second)
	_ = os.RemoveAll(l.Dir)
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
