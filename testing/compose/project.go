package compose

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The LiveKit key of every project, and its secret.
const (
	Key    = "devkey"
	Secret = "a-secret-for-containers-of-tests-only"
)

// Options configure a project. The zero value has the three nodes, the Redis and the LiveKit of docker-compose.yml.
type Options struct {
	// Files are additional compose files, merged over the others in this order. Relative paths begin at the root of the work
	// tree.
	Files []string
	// Env are variables of the compose files, "NAME=value".
	Env []string
}

// Project is a separate compose project. Its methods take service names of docker-compose.yml, such as rollcall-1, and are safe
// for concurrent use. Each is limited by its context.
type Project struct {
	engine *Engine
	name   string
	files  []string

	mu  sync.Mutex
	env []string
}

// NewProject prepares a project and starts nothing. Down ends whatever the project starts.
func (e *Engine) NewProject(o Options) *Project {
	p := &Project{engine: e, name: "rollcall-" + strings.ToLower(rand.Text()[:10])}
	for _, file := range append([]string{"docker-compose.yml", filepath.Join("testing", "compose", "override.yml")}, o.Files...) {
		p.files = append(p.files, "-f", file)
	}
	// The caller's environment must not change what is tested.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ROLLCALL_") && !strings.HasPrefix(v, "LIVEKIT_") && !strings.HasPrefix(v, "COMPOSE_") {
			p.env = append(p.env, v)
		}
	}
	p.env = append(p.env, "LIVEKIT_API_KEY="+Key, "LIVEKIT_API_SECRET="+Secret, "ROLLCALL_ADMIN_TOKEN=")
	// An empty port, like 0, means any free one. A service may not publish the same one twice, so both are used.
	for _, name := range []string{"ROLLCALL_PORT_1", "ROLLCALL_PORT_2", "ROLLCALL_PORT_3", "LIVEKIT_PORT", "LIVEKIT_TCP_PORT", "LIVEKIT_UDP_PORT"} {
		p.env = append(p.env, name+"=")
	}
	p.env = append(append(p.env, "ROLLCALL_PORT=0"), o.Env...)
	return p
}

// Name returns the project's name, which is unique to this run.
func (p *Project) Name() string { return p.name }

func (p *Project) compose(ctx context.Context, args ...string) (string, error) {
	command := append([]string{}, p.engine.tool...)
	command = append(append(command, p.files...), "-p", p.name)
	p.mu.Lock()
	env := slices.Clone(p.env)
	p.mu.Unlock()
	return p.engine.run(ctx, env, append(command, args...)...)
}

// Set changes a variable of the compose files, for containers that are created from now on; see Renew.
func (p *Project) Set(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env = append(p.env, name+"="+value) // the last value takes effect
}

// Renew recreates the services' containers where they are gone or their configuration has changed, with their existing volumes,
// and nothing else. Old containers are shut down cleanly. Renew does not wait for the new ones to be healthy.
func (p *Project) Renew(ctx context.Context, services ...string) error {
	_, err := p.compose(ctx, append([]string{"up", "-d", "--no-build", "--no-deps"}, services...)...)
	return err
}

// Config returns the whole configuration as the compose tool understands it, in YAML. An error says what it does not understand.
func (p *Project) Config(ctx context.Context) (string, error) { return p.compose(ctx, "config") }

// Up creates and starts the services' containers, and those they depend on, and returns when all named services are healthy.
// Without names it starts all services.
func (p *Project) Up(ctx context.Context, services ...string) error {
	if _, err := p.compose(ctx, append([]string{"up", "-d", "--no-build"}, services...)...); err != nil {
		return err
	}
	return p.AwaitHealthy(ctx, services...)
}

// Down ends and removes everything that belongs to the project, including volumes and networks, whatever its state.
func (p *Project) Down(ctx context.Context) error {
	paused, err := p.containers(ctx, "", "status=paused")
	for _, id := range paused {
		_, unpaused := p.engine.docker(ctx, "unpause", id)
		err = errors.Join(err, unpaused)
	}
	_, down := p.compose(ctx, "down", "--volumes", "--remove-orphans", "--timeout", "0")
	return errors.Join(err, down)
}

// Exec runs a command in a service's container and returns what it printed to stdout. No container has a shell.
func (p *Project) Exec(ctx context.Context, service string, command ...string) (string, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return "", err
	}
	return p.engine.docker(ctx, append([]string{"exec", id}, command...)...)
}

// Addr returns the address, host:port, at which a port of a service is published on this machine. It changes when the container
// starts again.
func (p *Project) Addr(ctx context.Context, service string, port int) (string, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return "", err
	}
	out, err := p.engine.docker(ctx, "port", id, strconv.Itoa(port)+"/tcp")
	addr, _, _ := strings.Cut(out, "\n")
	if err == nil && addr == "" {
		err = fmt.Errorf("%s publishes no port %d", service, port)
	}
	return addr, err
}

// Logs returns the last 500 lines that a service has written, stdout before stderr.
func (p *Project) Logs(ctx context.Context, service string) (string, error) {
	return p.logs(ctx, service, "500")
}

// AllLogs returns everything that a service's container has written since it was created.
func (p *Project) AllLogs(ctx context.Context, service string) (string, error) {
	return p.logs(ctx, service, "all")
}

func (p *Project) logs(ctx context.Context, service, lines string) (string, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return "", err
	}
	// docker logs writes a container's stderr to its own stderr.
	return p.engine.run(ctx, nil, "sh", "-c", `exec docker logs --tail "$1" "$0" 2>&1`, id, lines)
}

// ID returns the id of a service's container, for docker's own commands. The container may have ended.
func (p *Project) ID(ctx context.Context, service string) (string, error) {
	ids, err := p.containers(ctx, service)
	if err == nil && len(ids) != 1 {
		err = fmt.Errorf("%s has %d containers in project %s, want 1: was it started?", service, len(ids), p.name)
	}
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

func (p *Project) containers(ctx context.Context, service string, filters ...string) ([]string, error) {
	filters = append(filters, "label=com.docker.compose.project="+p.name)
	if service != "" {
		filters = append(filters, "label=com.docker.compose.service="+service)
	}
	args := []string{"ps", "-a", "-q", "--no-trunc"}
	for _, f := range filters {
		args = append(args, "--filter", f)
	}
	out, err := p.engine.docker(ctx, args...)
	return strings.Fields(out), err
}

// pollEvery is how often the engine is polled for what it sends no events about.
const pollEvery = 100 * time.Millisecond
