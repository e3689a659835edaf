package compose

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrUnavailable means that this machine cannot run containers. The error that wraps it says what is missing.
var ErrUnavailable = errors.New("no containers here")

// Engine is a Docker engine with a compose tool, found on this machine.
type Engine struct {
	// root is the root of the work tree.
	root string
	// tool is the compose command: docker compose, or docker-compose.
	tool []string
}

// Find finds an engine that answers and a compose tool. It fails with ErrUnavailable.
func Find(ctx context.Context) (*Engine, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	root, err := workTree()
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, fmt.Errorf("%w: there is no docker on the PATH: install Docker Engine (Debian: apt-get install docker.io docker-compose): %w", ErrUnavailable, err)
	}
	e := &Engine{root: root}
	if _, err := e.docker(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return nil, fmt.Errorf("%w: the Docker engine does not answer: start it (systemctl start docker), and be root or in the group docker: %w", ErrUnavailable, err)
	}
	for _, tool := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if _, err = e.run(ctx, nil, append(tool, "version")...); err == nil {
			e.tool = tool
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: neither `docker compose` nor docker-compose is there: install one (Debian: apt-get install docker-compose): %w", ErrUnavailable, err)
}

// Tool returns the compose command in use, such as "docker compose".
func (e *Engine) Tool() string { return strings.Join(e.tool, " ") }

// docker runs the docker command and returns what it printed, without the last line break.
func (e *Engine) docker(ctx context.Context, args ...string) (string, error) {
	return e.run(ctx, nil, append([]string{"docker"}, args...)...)
}

// run runs a command in the root of the work tree. Its error contains the end of what the command wrote, stderr last.
func (e *Engine) run(ctx context.Context, env []string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = e.root
	cmd.Env = env
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(command, " "), errors.Join(ctx.Err(), err), tail(out.String(), 1024), tail(errs.String(), 4096))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// tail returns the end of a text, at most that many bytes.
func tail(s string, most int) string { return s[max(0, len(s)-most):] }

// workTree returns the root of the work tree, from any directory of it in which a test runs.
func workTree() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the work tree: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "docker-compose.yml")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no docker-compose.yml in this folder or above: run within the work tree")
		}
	}
}
