package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/compose"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

const (
	// token is the nodes' admin token.
	token = "a-token-for-chaos-only"
	// livekitPort is the port of the fake LiveKit, on the bridge's own address.
	livekitPort = 7880
	// startWithin is how long a cluster may take to come up on a busy machine.
	startWithin = 4 * time.Minute
)

// World is a running cluster in containers with everything around it: LiveKit, a balancer, traffic, witnesses.
type World struct {
	opts    Options
	t       testing.TB
	engine  *compose.Engine
	project *compose.Project
	// net holds the first three numbers of the network's addresses. data is the parent of the nodes' directories.
	net, data string
	mounted   []string

	fake     *fakelivekit.Fake
	api      *http.Server
	gate     *gate // of LiveKit: shut while it is "paused"
	post     *post
	ledger   *clusterkit.Ledger
	balancer *clusterkit.Balancer
	truth    *truth
	traffic  *clusterkit.Traffic
	witness  []*clusterkit.Witness
	redis    redis.UniversalClient
	watch    *watch
	report   *Report
	moves    atomic.Int64 // how many moves of slots have begun or ended: odd while one is under way

	mu      sync.Mutex
	nodes   []string          // services that are supposed to run
	busy    map[string]bool   // services that a nemesis is working on
	segment time.Time         // the time since which Redis has kept everything
	moved   map[string]string // by service, the addresses of nodes that new-addresses has moved
	logs    map[string]string
}

// NewWorld starts a World, and returns when every node is ready and every room is filled. It ends with the test, and leaves
// nothing behind.
func NewWorld(ctx context.Context, t testing.TB, engine *compose.Engine, o Options) (*World, error) {
	o = o.withDefaults()
	w := &World{opts: o, t: t, engine: engine, gate: &gate{}, truth: newTruth(), ledger: clusterkit.NewLedger(),
		busy: map[string]bool{}, moved: map[string]string{}, logs: map[string]string{}, report: newReport(o)}
	t.Cleanup(w.close)
	logging.Disable()
	w.balancer = clusterkit.NewBalancer(t)
	w.post = &post{gate: w.gate, next: w.ledger}
	w.fake = fakelivekit.New(fakelivekit.Options{Seed: o.Seed, APIKey: compose.Key, APISecret: compose.Secret, Transport: w.post,
		URLs: []string{w.balancer.URL() + "/api/livekit-webhook"}, EmptyTimeout: 1 << 20, DepartureTimeout: 1 << 20})
	w.fake.SetFate(w.truth.fate)
	for i := range o.Nodes {
		w.nodes = append(w.nodes, nodeService(i+1))
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := w.up(ctx); err != nil {
		return w, err
	}
	w.traffic = clusterkit.NewTraffic(w.fake, o.Seed, o.Rooms, o.Rate)
	if !o.RealLiveKit {
		w.traffic.Fill()
	}
	if err := w.awaitMail(ctx); err != nil {
		return w, err
	}
	var err error
	if w.report.Version, err = w.version(ctx, w.nodes[0]); err != nil {
		return w, err
	}
	w.segment = time.Now()
	w.report.Began, w.report.healed = w.segment, w.segment
	w.watch = newWatch(w)
	return w, w.putCanaries(ctx)
}

// nodeService returns the service of the nth node: n1, n2, …
func nodeService(n int) string { return fmt.Sprintf("rollcall-%d", n) }

// nodeID returns the id of a service's node.
func nodeID(service string) string { return strings.Replace(service, "rollcall-", "n", 1) }

// serviceOf returns the service of a node id.
func serviceOf(id string) string { return "rollcall-" + strings.TrimPrefix(id, "n") }

// ip returns a service's address: the one that the compose files fix, or for a node the one that setIP sets.
func (w *World) ip(service string) string {
	w.mu.Lock()
	moved := w.moved[service]
	w.mu.Unlock()
	if moved != "" {
		return moved
	}
	last := map[string]string{"redis": "21", "redis-2": "22", "livekit": "31", "gateway": "1"}[service]
	if name, number, _ := strings.Cut(service, "-"); last == "" {
		last = map[string]string{"rollcall": "1", "sentinel": "4", "shard": "5"}[name] + number
	}
	return w.net + "." + last
}

// advertised returns the host at which a node tells the others to reach it. With an odd seed it is the node's IP address, which may change, and
// with an even one its name, which stays.
func (w *World) advertised(service string) string {
	if w.opts.Seed%2 == 1 {
		return w.ip(service)
	}
	return service
}

// setIP gives a node another address, which takes effect with its next container.
func (w *World) setIP(service, ip string) {
	w.mu.Lock()
	w.moved[service] = ip
	w.mu.Unlock()
	w.project.Set("CHAOS_IP_"+nodeID(service)[1:], ip)
	w.project.Set("CHAOS_ADVERTISE_"+nodeID(service)[1:], w.advertised(service))
}

func (w *World) url(service string) string { return "http://" + w.ip(service) + ":8080" }

// up creates the network and everything in it, from the bottom to the top.
func (w *World) up(ctx context.Context) error {
	if err := w.makeProject(ctx); err != nil {
		return err
	}
	bottom := []string{"redis"}
	if w.opts.RealLiveKit {
		bottom = append(bottom, "livekit")
	}
	if w.opts.Sentinel {
		bottom = append(bottom, "redis-2", "sentinel-1", "sentinel-2", "sentinel-3")
	}
	if w.opts.Cluster {
		bottom = append(bottom, shardServices()...)
	}
	if err := w.project.Up(ctx, bottom...); err != nil {
		return err
	}
	if err := w.followRedis(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", w.ip("gateway"), livekitPort))
	if err != nil {
		return fmt.Errorf("the fake LiveKit listens on the bridge's own address, which only an engine on this machine has: %w", err)
	}
	w.api = &http.Server{Handler: w.gate.guard(w.fake), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.api.Serve(listener) }() // Close ends it
	if err := w.project.Up(ctx, w.nodes...); err != nil {
		return err
	}
	for _, node := range w.nodes {
		w.balancer.Add(w.url(node))
	}
	return nil
}

func (w *World) makeProject(ctx context.Context) error {
	var err error
	if w.net, err = freeNetwork(ctx); err != nil {
		return err
	}
	if w.data, err = os.MkdirTemp("", "rollcall-chaos"); err != nil {
		return err
	}
	disks, err := w.makeDisks()
	if err != nil {
		return err
	}
	url := fmt.Sprintf("redis://%s:6379/0", w.ip("redis"))
	files := []string{"testing/chaos/chaos.yml", "testing/chaos/more.yml"}
	if w.opts.Sentinel {
		files = append(files, "testing/chaos/sentinel.yml")
		url = fmt.Sprintf("redis+sentinel://%s:26379,%s:26379,%s:26379/mymaster/0", w.ip("sentinel-1"), w.ip("sentinel-2"), w.ip("sentinel-3"))
	}
	if w.opts.Cluster {
		files = append(files, "testing/chaos/cluster.yml")
		url = "redis+cluster://" + strings.Join(w.shardAddrs(), ",")
	}
	livekit := fmt.Sprintf("http://%s:%d", w.ip("gateway"), livekitPort)
	if w.opts.RealLiveKit {
		files = append(files, "testing/chaos/livekit.yml")
		livekit = fmt.Sprintf("http://%s:7880", w.ip("livekit"))
	}
	var join []string
	for _, node := range w.nodes {
		join = append(join, node+":7000")
	}
	env := []string{"CHAOS_NET=" + w.net, "CHAOS_REDIS_URL=" + url,
		"CHAOS_LIVEKIT=" + livekit, "CHAOS_SYNC_INTERVAL=" + w.opts.SyncInterval.String(),
		fmt.Sprintf("CHAOS_NODES=%d", w.opts.Nodes), "CHAOS_JOIN=" + strings.Join(join, ","), "ROLLCALL_ADMIN_TOKEN=" + token}
	if w.opts.Nodes > 3 {
		env = append(env, fmt.Sprintf("CHAOS_MORE_EXPECT=%d", w.opts.Nodes))
	}
	for i := range 5 {
		env = append(env, fmt.Sprintf("CHAOS_IP_%d=%s", i+1, w.ip(nodeService(i+1))), fmt.Sprintf("CHAOS_ADVERTISE_%d=%s", i+1, w.advertised(nodeService(i+1))))
	}
	w.project = w.engine.NewProject(compose.Options{Files: files, Env: append(env, disks...)})
	return w.makeImage(ctx)
}

// image returns the name of this run's own image, so that runs in several work trees do not conflict.
func (w *World) image() string { return "rollcall-test/rollcall:" + w.project.Name() }

func (w *World) makeImage(ctx context.Context) error {
	binary := w.opts.Binary
	if binary == "" {
		binary = filepath.Join(w.data, "rollcall")
		if err := w.engine.BuildBinary(ctx, binary); err != nil {
			return err
		}
	}
	for i := range 5 {
		w.project.Set(fmt.Sprintf("ROLLCALL_IMAGE_%d", i+1), w.image())
	}
	return w.engine.BuildRollcall(ctx, w.image(), binary)
}

// makeDisks gives every node a small disk of its own, which can be filled without harm to others and inspected. Without
// permission to mount one, it uses a volume of the project. It returns where each node's data is, as chaos.yml expects it.
func (w *World) makeDisks() (env []string, err error) {
	for i := range 5 {
		env = append(env, fmt.Sprintf("CHAOS_DISK_%d=%s", i+1, nodeService(i+1)))
	}
	if os.Geteuid() != 0 {
		return env, nil
	}
	for i := range 5 {
		dir := filepath.Join(w.data, fmt.Sprintf("n%d", i+1))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "rollcall-chaos", dir).CombinedOutput()
		if err != nil {
			w.t.Logf("no disks that can be filled: mount: %v: %s", err, out)
			return env[:5], nil
		}
		w.mounted = append(w.mounted, dir)
		env = append(env, fmt.Sprintf("CHAOS_DISK_%d=%s", i+1, dir)) // the last one takes effect
	}
	return env, nil
}

// freeNetwork returns a /24 that no interface of this machine uses.
func freeNetwork(ctx context.Context) (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for range 200 {
		prefix := fmt.Sprintf("10.213.%d", rand.IntN(250))
		taken := false
		for _, a := range addrs {
			taken = taken || strings.HasPrefix(a.String(), prefix+".")
		}
		if !taken {
			return prefix, ctx.Err()
		}
	}
	return "", errors.New("no free network below 10.213.0.0")
}
