package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

func redises() []Nemesis {
	return []Nemesis{
		{Name: "pause-redis", Kind: "redis", Lasts: true, Doc: "Redis is frozen for the hold", Do: pauseRedis},
		{Name: "restart-redis", Kind: "redis", Doc: "kill -9 of Redis, and a start 2 s later with its data", Do: restartRedis},
		{Name: "wipe-redis", Kind: "redis", Forgets: true, Doc: "Redis loses all its data, ends, and starts empty 2 s later", Do: wipeRedis},
		{Name: "rollback-redis", Kind: "redis", Forgets: true, Do: rollbackRedis,
			Doc: "Redis stops writing to its disk for the hold, then kill -9 and a start: it comes back as it was before"},
		{Name: "failover-kill", Kind: "redis", Lasts: true, Forgets: true, Sentinel: true, Do: outage("kill -9", thePrimary, kill, start, changed),
			Doc: "kill -9 of the primary; the sentinels make the replica the primary; the old one comes back as a replica after the hold"},
		{Name: "failover-pause", Kind: "redis", Lasts: true, Forgets: true, Sentinel: true, Do: outage("pause", thePrimary, pause, unpause, changed),
			Doc: "the primary is frozen, and comes back after the sentinels have made another the primary"},
		{Name: "failover-order", Kind: "redis", Lasts: true, Forgets: true, Sentinel: true, Do: failoverOrder,
			Doc: "SENTINEL FAILOVER: a clean change of the primary"},
	}
}

func pauseRedis(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	return "pause redis", func(ctx context.Context) error { return w.project.Unpause(ctx, "redis") }, w.project.Pause(ctx, "redis")
}

func restartRedis(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	err := w.project.Kill(ctx, "redis")
	pass(ctx, 2*time.Second)
	return "kill -9 redis", func(ctx context.Context) error { return w.startRedis(ctx, "redis") }, err
}

// wipeRedis makes Redis delete everything and shut down in one step, so that nobody writes in between.
func wipeRedis(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	heal := func(ctx context.Context) error {
		if err := w.startRedis(ctx, "redis"); err != nil {
			return err
		}
		return w.putCanaries(ctx)
	}
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", w.ip("redis")+":6379")
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("FLUSHALL\r\nSHUTDOWN NOSAVE\r\n")); err != nil {
		return "", heal, err
	}
	err = w.awaitExit(ctx, "redis")
	pass(ctx, 2*time.Second)
	return "FLUSHALL, SHUTDOWN NOSAVE", heal, err
}

// rollbackRedis restarts Redis with the complete data of some seconds ago: all keys of one moment.
func rollbackRedis(ctx context.Context, w *World, _ *rand.Rand) (string, heal, error) {
	heal := func(ctx context.Context) error { return w.startRedis(ctx, "redis") }
	if err := w.redis.ConfigSet(ctx, "appendonly", "no").Err(); err != nil {
		return "", heal, err
	}
	pass(ctx, w.opts.Hold)
	err := w.project.Kill(ctx, "redis")
	return fmt.Sprintf("Redis goes back %v", w.opts.Hold), heal, err
}

// startRedis starts a Redis server, and returns when it answers.
func (w *World) startRedis(ctx context.Context, service string) error {
	if err := w.project.Start(ctx, service); err != nil {
		return err
	}
	return await(30*time.Second, ctx.Done(), func() error { return w.redis.Ping(ctx).Err() })
}

// thePrimary returns the service of the Redis that the sentinels name as the primary.
func thePrimary(ctx context.Context, w *World, _ *rand.Rand) (string, error) {
	out, err := w.project.Exec(ctx, "sentinel-1", "redis-cli", "-p", "26379", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
	if err != nil {
		return "", err
	}
	for _, s := range []string{"redis", "redis-2"} {
		if len(out) >= len(w.ip(s)) && out[:len(w.ip(s))] == w.ip(s) {
			return s, nil
		}
	}
	return "", fmt.Errorf("the sentinels name %q", out)
}

// changed waits until the primary is another one than from.
func changed(ctx context.Context, w *World, from string) error {
	return await(40*time.Second, ctx.Done(), func() error {
		now, err := thePrimary(ctx, w, nil)
		if err == nil && now == from {
			err = fmt.Errorf("%s is still the primary", from)
		}
		return err
	})
}

// outage takes a service away, which who picks, and waits until another has its place.
func outage(does string, who picker, away, back, replaced action) cutter {
	return one(who, does, func(ctx context.Context, w *World, s string) error {
		if err := away(ctx, w, s); err != nil {
			return err
		}
		return replaced(ctx, w, s)
	}, back)
}

func failoverOrder(ctx context.Context, w *World, dice *rand.Rand) (string, heal, error) {
	was, err := thePrimary(ctx, w, dice)
	if err != nil {
		return "", nil, err
	}
	err = await(40*time.Second, ctx.Done(), func() error {
		out, err := w.project.Exec(ctx, "sentinel-1", "redis-cli", "-p", "26379", "SENTINEL", "FAILOVER", "mymaster")
		if err == nil && out != "OK" {
			err = fmt.Errorf("SENTINEL FAILOVER: %s", out) // the replica is not in sync yet
		}
		return err
	})
	if err == nil {
		err = changed(ctx, w, was)
	}
	return "SENTINEL FAILOVER, away from " + was, nil, err
}
