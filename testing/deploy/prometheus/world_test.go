package prometheus

import (
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

const patience = time.Minute

func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, false)) }

// world is a cluster of three real nodes, a real Redis and a fake LiveKit, and a node that is alone.
type world struct {
	*testing.T
	nodes   []*nodetest.Node
	redis   *redistest.Server
	livekit *fakelivekit.Fake
	joined  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	logging.Disable()
	addrs := nodetest.QuietAddrs(t, 6)
	w := &world{T: t, redis: redistest.Start(t)}
	w.livekit = fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{"http://" + addrs[5] + "/api/livekit-webhook"}})
	t.Cleanup(w.livekit.Close)
	api := httptest.NewServer(w.livekit)
	t.Cleanup(api.Close)
	env := append(fakelivekit.Env(api.URL), "REDIS_URL="+w.redis.URL())
	dir := t.TempDir()
	if _, err := authority.MakeFiles(authority.Options{Dir: dir, Days: 365}, []authority.Request{{Name: "n", Hosts: []string{"127.0.0.1"}}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	env = append(env, "ROLLCALL_TLS_CA="+dir+"/ca.pem", "ROLLCALL_TLS_CERT="+dir+"/n.pem", "ROLLCALL_TLS_KEY="+dir+"/n-key.pem")
	for i := range 3 {
		w.nodes = append(w.nodes, nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: fmt.Sprintf("n%d", i+1), HTTPAddr: addrs[3+i],
			Env:   append(slices.Clone(env), "ROLLCALL_NODE_ADDR="+addrs[i]),
			Flags: []string{"--bootstrap-expect=3", "--join=" + strings.Join(addrs[:3], ","), "--sync-interval=1s", "--cleanup-interval=1s", "--log-level=info"}}))
	}
	for _, n := range w.nodes {
		n.Start()
	}
	w.settle()
	return w
}

// settle waits until all nodes are ready, one leads, and it has done a good cycle of each kind.
func (w *world) settle() {
	w.Helper()
	for _, n := range w.nodes {
		n.AwaitReady()
	}
	eventually.Nil(w, patience, "a good sync and a good cleanup", func() error {
		for _, n := range w.nodes {
			if f := scrapeNode(w.T, n).families["rollcall_last_cycle_timestamp_seconds"]; f != nil && len(f.Metric) == 2 {
				return nil
			}
		}
		return fmt.Errorf("no node exports both")
	})
}

// leader returns the node that leads.
func (w *world) leader() *nodetest.Node {
	w.Helper()
	for _, n := range w.nodes {
		if scrapeNode(w.T, n).families["rollcall_cluster_is_leader"].GetMetric()[0].Gauge.GetValue() == 1 {
			return n
		}
	}
	w.Fatal("nobody leads")
	return nil
}

// await waits until each running node has a metric for which ok returns true.
func (w *world) await(what, metric string, ok func(total float64) bool, nodes ...*nodetest.Node) {
	w.Helper()
	eventually.Nil(w, patience, what, func() error {
		for _, n := range nodes {
			total := 0.0
			for name, s := range scrapeNode(w.T, n).samples(n.ID) {
				if strings.HasPrefix(name, metric) {
					total += s.value
				}
			}
			if !ok(total) {
				return fmt.Errorf("%s of %s is %v", metric, n.ID, total)
			}
		}
		return nil
	})
}

// look scrapes all nodes, lets participants join for a few seconds, and scrapes again.
func (w *world) look(lasts time.Duration) phase {
	w.Helper()
	all := func() map[string]sample {
		s := map[string]sample{}
		for _, n := range w.nodes {
			for name, value := range scrapeNode(w.T, n).samples(n.ID) {
				s[name] = value
			}
		}
		return s
	}
	begun := time.Now()
	p := phase{begin: all(), lasts: lasts}
	for time.Since(begun) < 4*time.Second {
		w.joined++
		w.livekit.Join(fmt.Sprintf("room-%d", w.joined%7), fakelivekit.Who{Identity: fmt.Sprintf("user-%d", w.joined)})
		wait := time.NewTimer(200 * time.Millisecond)
		<-wait.C
	}
	p.began, p.took = time.Now(), time.Since(begun)
	p.end = all()
	return p
}
