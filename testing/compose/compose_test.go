package compose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

func TestConfigIsValid(t *testing.T) {
	e := Need(t.Context(), t)
	out, err := e.NewProject(Options{}).Config(within(t, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{RollcallImage, RedisImage, LiveKitImage, "rollcall-3"} {
		if !strings.Contains(out, want) {
			t.Errorf("the configuration has no %s:\n%s", want, out)
		}
	}
	alone := append(append([]string{}, e.tool...), "-f", "docker-compose.yml", "config")
	if out, err := e.run(within(t, time.Minute), nil, alone...); err != nil || strings.Contains(out, "rollcall-test/") {
		t.Errorf("as users have it: %v\n%s", err, out)
	}
}

// TestImage inspects the image of rollcall and runs it as strictly as docker-compose.yml does.
func TestImage(t *testing.T) {
	e := Need(t.Context(), t)
	ctx := within(t, time.Minute)
	out, err := e.docker(ctx, "image", "inspect", "--format", "{{json .Config}}", RollcallImage)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		User                    string
		Entrypoint, Cmd         []string
		Volumes, ExposedPorts   map[string]struct{}
		Labels                  map[string]string
		Healthcheck             struct{ Test []string }
		StopSignal, StopTimeout any
	}
	if err := json.Unmarshal([]byte(out), &config); err != nil {
		t.Fatal(err)
	}
	_, volume := config.Volumes["/data"]
	if config.User != "65532:65532" || !volume || strings.Join(config.Entrypoint, " ") != "/rollcall" || strings.Join(config.Cmd, " ") != "serve" ||
		strings.Join(config.Healthcheck.Test, " ") != "CMD /rollcall ready" || config.Labels["org.opencontainers.image.title"] != "rollcall" {
		t.Errorf("%s", out)
	}
	strict := []string{"run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", RollcallImage}
	if out, err := e.docker(ctx, append(strict, "version")...); err != nil || !strings.HasPrefix(out, "rollcall test (go1") {
		t.Errorf("version: %s, %v", out, err)
	}
	// /data is the only place that the image's user can write to.
	for dir, good := range map[string]bool{"/data/certs": true, "/certs": false} {
		if _, err := e.docker(ctx, append(strict, "cert", "--dir", dir, "n1")...); (err == nil) != good {
			t.Errorf("writing to %s: %v", dir, err)
		}
	}
	if _, err := e.docker(ctx, append(strict, "ready")...); err == nil || !strings.Contains(err.Error(), "nothing listens at") {
		t.Errorf("ready without a node: %v", err)
	}
}

// TestOneNode runs the images together, with one rollcall node, and applies the faults of a chaos test to them.
func TestOneNode(t *testing.T) {
	e := Need(t.Context(), t)
	p := project(t, e, Options{Files: []string{"testing/compose/onenode.yml"}})
	if err := p.Up(within(t, 2*time.Minute), "redis", "livekit", "rollcall-1"); err != nil {
		t.Fatal(err)
	}
	if out, err := p.Exec(within(t, time.Minute), "redis", "redis-cli", "config", "get", "maxmemory-policy"); err != nil || !strings.Contains(out, "noeviction") {
		t.Errorf("%q, %v", out, err)
	}
	webhookReachesRedis(t, p, "before")

	t.Run("killed", func(t *testing.T) {
		ctx := within(t, time.Minute)
		if err := errors.Join(p.Kill(ctx, "rollcall-1"), wants(ctx, p, "rollcall-1", "exited"), p.Start(ctx, "rollcall-1"), p.AwaitHealthy(ctx, "rollcall-1")); err != nil {
			t.Fatal(err)
		}
		webhookReachesRedis(t, p, "after")
	})
	t.Run("paused", func(t *testing.T) {
		ctx := within(t, time.Minute)
		if err := errors.Join(p.Pause(ctx, "redis"), wants(ctx, p, "redis", "paused")); err != nil {
			t.Fatal(err)
		}
		eventually.Nil(t, time.Minute, "the node is not ready without Redis", func() error { // a node checks every 2 s what webhooks need
			if _, err := p.Exec(ctx, "rollcall-1", "/rollcall", "ready"); err == nil {
				return errors.New("ready although Redis is paused")
			}
			return nil
		})
		if err := errors.Join(p.Unpause(ctx, "redis"), wants(ctx, p, "redis", "running")); err != nil {
			t.Fatal(err)
		}
		eventually.Nil(t, time.Minute, "the node is ready again", func() error { _, err := p.Exec(ctx, "rollcall-1", "/rollcall", "ready"); return err })
	})
	t.Run("cut off", func(t *testing.T) {
		ctx := within(t, time.Minute)
		ready := func() error { _, err := p.Exec(ctx, "rollcall-1", "/rollcall", "ready"); return err }
		if err := errors.Join(ready(), p.Disconnect(ctx, "rollcall-1")); err != nil {
			t.Fatal(err)
		}
		eventually.Nil(t, time.Minute, "the node is not ready off the network", func() error {
			if ready() == nil {
				return errors.New("ready off the network")
			}
			return nil
		})
		if err := p.Connect(ctx, "rollcall-1"); err != nil {
			t.Fatal(err)
		}
		eventually.Nil(t, time.Minute, "the node is ready again", ready)
		webhookReachesRedis(t, p, "reconnected")
	})
	t.Run("stopped", func(t *testing.T) {
		ctx := within(t, time.Minute)
		if err := errors.Join(p.Stop(ctx, "rollcall-1"), wants(ctx, p, "rollcall-1", "exited")); err != nil {
			t.Fatal(err)
		}
		if s, err := p.State(ctx, "rollcall-1"); err != nil || s.ExitCode != "0" {
			t.Errorf("SIGTERM: %+v, %v", s, err)
		}
		if logs, err := p.Logs(ctx, "rollcall-1"); err != nil || logs == "" {
			t.Errorf("no logs: %v", err)
		}
	})
}

func wants(ctx context.Context, p *Project, service, status string) error {
	s, err := p.State(ctx, service)
	if err == nil && s.Status != status {
		err = errors.New(service + " is " + s.Status + ", not " + status)
	}
	return err
}

// webhookReachesRedis creates rooms in LiveKit until one appears in Redis by its webhook: a sync may be faster with the first.
func webhookReachesRedis(t *testing.T, p *Project, prefix string) {
	t.Helper()
	ctx := within(t, time.Minute)
	store := redis.NewClient(&redis.Options{Addr: addr(t, p, "redis", 6379)})
	defer store.Close()
	api := lksdk.NewRoomServiceClient("http://"+addr(t, p, "livekit", 7880), Key, Secret)
	for i := 0; ; i++ {
		room := fmt.Sprintf("%s-%d", prefix, i)
		if _, err := api.CreateRoom(ctx, &livekit.CreateRoomRequest{Name: room}); err != nil {
			t.Fatal(err)
		}
		eventually.Nil(t, time.Minute, "the key is there", func() error { return store.Get(ctx, "rooms:states:"+room).Err() })
		if got, err := store.Get(ctx, "rooms:participants:"+room).Result(); err != nil || got != "[]" {
			t.Errorf("participants of %s: %s, %v", room, got, err)
		}
		feed, err := store.XRange(ctx, "rooms:events", "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(feed, func(m redis.XMessage) bool { return m.Values["room"] == room && m.Values["cause"] == "webhook" }) {
			return
		}
	}
}
