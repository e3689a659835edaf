package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/daemon"
	"github.com/rollcallhq/rollcall/internal/demo"
)

// embeddedPort is the port of dev's embedded Redis, if it is free. 6379 is often another Redis'.
const embeddedPort = 6380

// dev runs a node with everything around it that it needs, until ctx ends.
func dev(ctx context.Context, c config.Config, o DevOptions, stdout, stderr io.Writer) error {
	if c.LogLevel == slog.LevelInfo {
		c.LogLevel = slog.LevelWarn // dev is about the roster, not about the log
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP) // its terminal is gone
	defer stop()
	log, _ := newLogger(c, stderr)
	daemon.LimitMemory(ctx, log)
	c.DrainDelay = 0
	c.NodeID, c.DataDir = "dev", "" // raft in memory: dev leaves nothing behind
	addr, err := devAddr(c)
	if err != nil {
		return err
	}
	if _, wanted, _ := net.SplitHostPort(c.HTTPAddr); wanted != "0" && !strings.HasSuffix(addr, ":"+wanted) {
		fmt.Fprintf(stdout, "port %s is in use: rollcall listens on %s instead (--http-addr chooses another)\n", wanted, addr)
	}
	c.HTTPAddr = addr
	hook := "http://" + addr + "/api/livekit-webhook"
	own := c.LiveKit.Host == ""
	if own {
		server, err := startLiveKit(ctx, &c, o, hook, stdout)
		if err != nil {
			return err
		}
		defer server.Stop()
		go server.ReportEnd(ctx, stdout)
	} else {
		fmt.Fprint(stdout, o.Choice.ForeignLiveKit(c.LiveKit.Host, hook))
	}
	if c.EmbeddedAddr, err = demo.FreeAddr(embeddedPort); err != nil {
		return err
	}
	d, err := daemon.Start(ctx, c, apiBuild(), log)
	if err != nil {
		return o.Choice.Explain(err)
	}
	if own {
		if err := refuseOthersRooms(ctx, d, c, o.Choice); err != nil {
			return errors.Join(err, d.Stop())
		}
	}
	introduce(stdout, d, c)
	fmt.Fprintf(stdout, "%s\n\nWhat follows is rooms:participants:* in Redis as it changes. Ctrl-C ends everything.\n\n", demo.Participants(o.Participants, !own))
	guests := &demo.People{URL: c.LiveKit.Host, Key: c.LiveKit.APIKey, Secret: c.LiveKit.APISecret.Reveal(), Log: log}
	ctx, end := context.WithCancel(ctx)
	defer end()
	go endWhenFailed(ctx, end, d, log)
	guests.Start(ctx, o.Participants)
	watch := &demo.Roster{Redis: d.Store(), Out: stdout}
	watch.Show(ctx)
	fmt.Fprintln(stdout, demo.Ending(o.Participants))
	guests.Wait()
	if o.Participants > 0 { // otherwise any such rooms are somebody else's
		finishRooms(d, guests)
	}
	return d.Stop()
}

// startLiveKit starts dev's own LiveKit, with the key that is configured or a new one, and enters it into the configuration.
func startLiveKit(ctx context.Context, c *config.Config, o DevOptions, hook string, stdout io.Writer) (*demo.LiveKit, error) {
	self, _ := os.Executable() // without it, the PATH remains
	bin, err := demo.FindLiveKit(o.LiveKitServer, filepath.Dir(self))
	if err != nil {
		return nil, err
	}
	given := c.LiveKit.APISecret
	server, err := demo.StartLiveKit(ctx, bin, hook, c.LiveKit.APIKey, given.Reveal())
	if err != nil {
		return nil, err
	}
	shown := server.Secret
	if given != "" {
		shown = "as given"
	}
	c.EmbeddedPassword = given
	c.LiveKit.Host, c.LiveKit.APIKey, c.LiveKit.APISecret = server.URL(), server.Key, config.Secret(server.Secret)
	fmt.Fprintf(stdout, "livekit-server  %s   key %s   secret %s\n                log: %s\n", server.URL(), server.Key, shown, server.Log)
	return server, nil
}

// endWhenFailed calls end when the node cannot continue.
func endWhenFailed(ctx context.Context, end func(), d *daemon.Daemon, log *slog.Logger) {
	select {
	case err := <-d.Failed():
		log.Error("the node cannot continue", "error", err)
		end()
	case <-ctx.Done():
	}
}

// refuseOthersRooms keeps dev, which has a LiveKit of its own, from using a Redis with the rooms of another LiveKit: dev
// would remove them.
func refuseOthersRooms(ctx context.Context, d *daemon.Daemon, c config.Config, chosen demo.Choice) error {
	if d.EmbeddedURL() != "" {
		return nil
	}
	names, _, err := d.Store().Rooms(ctx, "", 1, "")
	if err != nil {
		return chosen.Explain(fmt.Errorf("--redis-url, REDIS_URL: %w", err))
	}
	if len(names) > 0 {
		return fmt.Errorf("--redis-url, REDIS_URL: %s already holds rooms (%q): dev would remove them, since its own LiveKit does not have them. "+
			"Give an empty database, unset REDIS_URL, or set LIVEKIT_HOST to the LiveKit whose rooms they are", c.Redis, names[0])
	}
	return nil
}

// finishRooms ends dev's rooms, so that nothing of them stays in a Redis that outlives dev.
func finishRooms(d *daemon.Daemon, guests *demo.People) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	guests.Finish(ctx)
	for {
		left, _, err := d.Store().Rooms(ctx, "", 1, demo.Prefix)
		if err != nil || len(left) == 0 { // also if ctx has ended
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func introduce(out io.Writer, d *daemon.Daemon, c config.Config) {
	redis := c.Redis.String()
	if url := d.EmbeddedURL(); url != "" {
		redis = fmt.Sprintf("%s   embedded, in memory\n                look with: redis-cli -u %s", url, url)
	}
	fmt.Fprintf(out, "Redis           %s\n", redis)
	fmt.Fprintf(out, "rollcall        http://%s\n", d.Addr())
	fmt.Fprintf(out, "                curl http://%s/api/rooms\n", d.Addr())
	fmt.Fprintf(out, "                %s status --addr http://%s\n", os.Args[0], d.Addr())
}

// devAddr returns the loopback address that dev serves on: the configured port, or a free one if the default is taken and
// only dev's own LiveKit has to know it.
func devAddr(c config.Config) (string, error) {
	host, port, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil {
		return "", fmt.Errorf("--http-addr: %w", err)
	}
	host = cmp.Or(host, "127.0.0.1")
	tries := []string{port}
	if c.LiveKit.Host == "" && c.HTTPAddr == config.DefaultHTTPAddr {
		tries = append(tries, "0")
	}
	for _, try := range tries {
		l, listenErr := net.Listen("tcp", net.JoinHostPort(host, try))
		if err = listenErr; err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", daemon.PortTaken(err)
}
