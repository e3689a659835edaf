package compose

import (
	"context"
	"strings"
	"testing"
	"time"
)

// project returns a project that ends with the test. If the test failed, the logs are shown.
func project(t *testing.T, e *Engine, o Options) *Project {
	t.Helper()
	p := e.NewProject(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if t.Failed() {
			for _, service := range []string{"rollcall-1", "rollcall-2", "rollcall-3", "redis", "livekit"} {
				logs, _ := p.Logs(ctx, service)
				t.Logf("%s:\n%s", service, tail(logs, 4096))
			}
		}
		down(t, p)
	})
	return p
}

// down ends a project and checks that nothing of it is left.
func down(t *testing.T, p *Project) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Down(ctx); err != nil {
		t.Errorf("down: %v", err)
	}
	for _, kind := range []string{"container", "volume", "network"} {
		args := []string{kind, "ls", "-q", "--filter", "label=com.docker.compose.project=" + p.name}
		if kind == "container" {
			args = append(args, "-a")
		}
		if left, err := p.engine.docker(ctx, args...); err != nil || left != "" {
			t.Errorf("left behind, each a %s: %q, %v", kind, left, err)
		}
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func addr(t *testing.T, p *Project, service string, port int) string {
	t.Helper()
	a, err := p.Addr(t.Context(), service, port)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a, "127.0.0.1:") {
		t.Errorf("%s is published beyond loopback: %s", service, a)
	}
	return a
}
