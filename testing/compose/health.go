package compose

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// State is a container's state ("running", "paused", "exited", …) and health ("healthy", "unhealthy", "starting"; "" without a check).
type State struct {
	Status, Health string
	ExitCode       string
}

// State returns the present state of a service's container.
func (p *Project) State(ctx context.Context, service string) (State, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return State{}, err
	}
	return p.engine.state(ctx, id)
}

func (e *Engine) state(ctx context.Context, id string) (State, error) {
	const format = "{{.State.Status}} {{.State.ExitCode}} {{with .State.Health}}{{.Status}}{{end}}"
	out, err := e.docker(ctx, "inspect", "--format", format, id)
	if err != nil {
		return State{}, err
	}
	fields := append(strings.Fields(out), "", "", "")
	return State{Status: fields[0], ExitCode: fields[1], Health: fields[2]}, nil
}

// AwaitHealthy waits until every named service (or every service that was started) is healthy. Its error names one that is not,
// with the end of its log.
func (p *Project) AwaitHealthy(ctx context.Context, services ...string) error {
	if len(services) == 0 {
		services = []string{""}
	}
	for _, service := range services {
		ids, err := p.containers(ctx, service)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return fmt.Errorf("%s has no container in project %s: was it started?", service, p.name)
		}
		for _, id := range ids {
			if err := p.engine.awaitHealthy(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Engine) awaitHealthy(ctx context.Context, id string) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		s, err := e.state(ctx, id)
		if err == nil && s.Status == "running" && s.Health == "healthy" {
			return nil
		}
		if ctx.Err() != nil || err == nil && (s.Status == "exited" || s.Status == "dead") {
			return e.unhealthy(context.WithoutCancel(ctx), id, s, err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (e *Engine) unhealthy(ctx context.Context, id string, s State, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name, _ := e.docker(ctx, "inspect", "--format", "{{.Name}} {{with .State.Health}}{{range .Log}}{{.Output}}{{end}}{{end}}", id)
	logs, _ := e.run(ctx, nil, "sh", "-c", `exec docker logs --tail 50 "$0" 2>&1`, id)
	err := fmt.Errorf("%s is not healthy: %s, exit code %s, health %q; its log ends with:\n%s", strings.TrimSpace(name), s.Status, s.ExitCode, s.Health, tail(logs, 4096))
	if cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
