package compose

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Kill ends a service as kill -9 does. Its volumes stay. Kill returns when the container has ended.
func (p *Project) Kill(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"kill", "--signal", "KILL"}, []string{"wait"})
}

// Stop shuts a service down with SIGTERM, and with SIGKILL after 15 s.
func (p *Project) Stop(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"stop", "--time", "15"})
}

// Start starts a service that has ended, with its existing volumes. It does not wait for it to be healthy.
func (p *Project) Start(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"start"})
}

// Remove removes a service's container, whatever its state. Named volumes stay.
func (p *Project) Remove(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"rm", "--force", "--volumes"})
}

// Pause freezes every process of a service: connections stay open and nothing answers. On a busy machine the engine may give up
// before all are frozen, so Pause tries a few times.
func (p *Project) Pause(ctx context.Context, service string) error {
	var err error
	for range 5 {
		if err = p.each(ctx, service, []string{"pause"}); err == nil || !strings.Contains(err.Error(), "unable to freeze") {
			return err
		}
	}
	return err
}

// Unpause continues a paused service.
func (p *Project) Unpause(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"unpause"})
}

// cpuPeriod is the time in which a service with a limit gets its part of the processors. It is short, so that the service runs slowly. With the
// kernel's 100 ms it would run at full speed for a part of that time and be frozen for the rest.
const cpuPeriod = 10 * time.Millisecond

// LimitCPU limits a service to that many processors from now on: 0.5 means half of one.
func (p *Project) LimitCPU(ctx context.Context, service string, cpus float64) error {
	quota := time.Duration(cpus * float64(cpuPeriod))
	return p.each(ctx, service, []string{"update", fmt.Sprintf("--cpu-period=%d", cpuPeriod.Microseconds()), fmt.Sprintf("--cpu-quota=%d", quota.Microseconds())})
}

// Disconnect disconnects a service from the project's network, and with it its published ports: nobody can reach it any more.
func (p *Project) Disconnect(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"network", "disconnect", p.network()})
}

// Connect reconnects a disconnected service under its name. Its address may have changed.
func (p *Project) Connect(ctx context.Context, service string) error {
	return p.each(ctx, service, []string{"network", "connect", "--alias", service, p.network()})
}

func (p *Project) network() string { return p.name + "_default" }

// each runs docker commands, one after another, on a service's container.
func (p *Project) each(ctx context.Context, service string, commands ...[]string) error {
	id, err := p.ID(ctx, service)
	if err != nil {
		return err
	}
	for _, command := range commands {
		if _, err := p.engine.docker(ctx, append(command, id)...); err != nil {
			return fmt.Errorf("%s %s: %w", command[0], service, err)
		}
	}
	return nil
}
