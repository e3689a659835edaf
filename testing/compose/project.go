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

// Options change a project. The zero value is the three nodes, the Redis and the LiveKit of docker-compose.yml.
type Options struct {
	// Files are further compose files, laid over the others in their order. Relative paths begin at the top of the work tree.
	Files []string
	// Env are variables of the compose files, "NAME=value".
	Env []string
}

// Project is a compose project of its own. Its methods take service names of docker-compose.yml, such as rollcall-1, and are
// safe for concurrent use; each is bounded by its context.
type Project struct {
	engine *Engine
	name   string
	files  []string

	mu  sync.Mutex
	env []string
}

// NewProject prepares a project and starts nothing. Down ends whatever it then started.
func (e *Engine) NewProject(o Options) *Project {
	p := &Project{engine: e, name: "rollcall-" + strings.ToLower(rand.Text()[:10])}
	for _, file := range append([]string{"docker-compose.yml", filepath.Join("testing", "compose", "override.yml")}, o.Files...) {
		p.files = append(p.files, "-f", file)
	}
	// Nothing of the caller's surroundings may change what is tested.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ROLLCALL_") && !strings.HasPrefix(v, "LIVEKIT_") && !strings.HasPrefix(v, "COMPOSE_") {
			p.env = append(p.env, v)
		}
	}
	p.env = append(p.env, "LIVEKIT_API_KEY="+Key, "LIVEKIT_API_SECRET="+Secret, "ROLLCALL_ADMIN_TOKEN=")
	// An empty port, like 0, is any free one. A service may not publish the same one twice, hence both.
	for _, name := range []string{"ROLLCALL_PORT_1", "ROLLCALL_PORT_2", "ROLLCALL_PORT_3", "LIVEKIT_PORT", "LIVEKIT_TCP_PORT", "LIVEKIT_UDP_PORT"} {
		p.env = append(p.env, name+"=")
	}
	p.env = append(append(p.env, "ROLLCALL_PORT=0"), o.Env...)
	return p
}

// Name is the project's name, unique to this run.
func (p *Project) Name() string { return p.name }

func (p *Project) compose(ctx context.Context, args ...string) (string, error) {
	command := append([]string{}, p.engine.tool...)
	command = append(append(command, p.files...), "-p", p.name)
	p.mu.Lock()
	env := slices.Clone(p.env)
	p.mu.Unlock()
	return p.engine.run(ctx, env, append(command, args...)...)
}

// Set changes a variable of the compose files, for what is made from now on: Renew.
func (p *Project) Set(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.env = append(p.env, name+"="+value) // the last one counts
}

// Renew makes a service's container anew where its configuration has changed, with its volumes as they are, and nothing else.
// The old one ends in order. It does not wait for the new one to be healthy.
func (p *Project) Renew(ctx context.Context, service string) error {
	_, err := p.compose(ctx, "up", "-d", "--no-build", "--no-deps", service)
	return err
}

// Config is the whole configuration as the compose tool understands it, YAML. An error says what it does not understand.
func (p *Project) Config(ctx context.Context) (string, error) { return p.compose(ctx, "config") }

// Up makes and starts the services' containers, and those they depend on, and returns when all named are healthy. Without names, all are meant.
func (p *Project) Up(ctx context.Context, services ...string) error {
	if _, err := p.compose(ctx, append([]string{"up", "-d", "--no-build"}, services...)...); err != nil {
		return err
	}
	return p.AwaitHealthy(ctx, services...)
}

// Down ends and removes all that belongs to the project, volumes and networks too, whatever state it is in.
func (p *Project) Down(ctx context.Context) error {
	paused, err := p.containers(ctx, "", "status=paused")
	for _, id := range paused {
		_, unpaused := p.engine.docker(ctx, "unpause", id)
		err = errors.Join(err, unpaused)
	}
	_, down := p.compose(ctx, "down", "--volumes", "--remove-orphans", "--timeout", "0")
	return errors.Join(err, down)
}

// Exec runs a command in a service's container and returns what it printed to stdout. There is no shell in any.
func (p *Project) Exec(ctx context.Context, service string, command ...string) (string, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return "", err
	}
	return p.engine.docker(ctx, append([]string{"exec", id}, command...)...)
}

// Addr is where a port of a service is published on this machine, host:port. It changes when the container starts again.
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

// Logs are the last 500 lines that a service has written, stdout before stderr.
func (p *Project) Logs(ctx context.Context, service string) (string, error) {
	return p.logs(ctx, service, "500")
}

// AllLogs are all that a service's container has written since it was made.
func (p *Project) AllLogs(ctx context.Context, service string) (string, error) {
	return p.logs(ctx, service, "all")
}

func (p *Project) logs(ctx context.Context, service, lines string) (string, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return "", err
	}
	// docker logs gives a container's stderr as its own.
	return p.engine.run(ctx, nil, "sh", "-c", `exec docker logs --tail "$1" "$0" 2>&1`, id, lines)
}

// ID is the id of a service's container, which docker's own commands take. The container may have ended.
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

// pollEvery is how often the engine is asked for what has no event here.
const pollEvery = 100 * time.Millisecond
