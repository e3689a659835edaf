package livekittest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// Process is a real client in its own process, so that it can vanish.
type Process struct {
	proc  *proc.Process
	stdin io.Closer
	sid   string
}

// Spawn is Join in a separate process. Leave or Kill ends it, and so does the end of this process.
func (s *Server) Spawn(ctx context.Context, room string, who Who) (*Process, error) {
	bin, err := participantBinary(ctx)
	if err != nil {
		return nil, err
	}
	token, err := Token(room, who)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, s.URL())
	cmd.Env = append(os.Environ(), "LIVEKIT_TOKEN="+token)
	cmd.Stderr = io.Discard
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open the participant's stdin: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open the participant's stdout: %w", err)
	}
	defer out.Close()
	cmd.Stdout = in
	child, err := proc.Start(cmd)
	_ = in.Close()
	if err != nil {
		return nil, fmt.Errorf("start a participant: %w", err)
	}
	p := &Process{proc: child, stdin: stdin}
	stop := context.AfterFunc(ctx, p.Kill) // ends the read below
	defer stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	sid, joined := strings.CutPrefix(strings.TrimSpace(line), "joined ")
	if err != nil || !joined {
		p.Kill()
		return nil, fmt.Errorf("participant %q did not join room %q: it said %q", who.Identity, room, line)
	}
	p.sid = sid
	return p, nil
}

// Sid returns the participant's sid at its first join.
func (p *Process) Sid() string { return p.sid }

// Leave makes the client leave gracefully and waits until its process has ended.
func (p *Process) Leave() {
	_ = p.stdin.Close()
	if !p.proc.Ended(10 * time.Second) {
		p.Kill()
	}
}

// Kill sends SIGKILL. The server notices only by the client's silence, after some 19 s.
func (p *Process) Kill() { p.proc.Kill() }
