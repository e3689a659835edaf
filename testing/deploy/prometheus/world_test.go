package prometheus

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9/logging"

	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// patience limits waits that take seconds on an idle machine.
const patience = 3 * time.Minute

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
		w.ready(n)
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

// ready waits until a node is ready.
func (w *world) ready(n *nodetest.Node) {
	w.Helper()
	eventually.Nil(w, patience, n.ID+" is ready", func() error { return n.Probe("/readyz", http.StatusOK) })
}

// isLeader returns whether the node that has answered with these metrics leads with an established term.
func isLeader(f map[string]*dto.MetricFamily) bool {
	return f["rollcall_cluster_leader_since_timestamp_seconds"] != nil
}

// leader returns the node that leads, and waits for one.
func (w *world) leader() *nodetest.Node {
	w.Helper()
	var leader *nodetest.Node
	eventually.Nil(w, patience, "a leader", func() error {
		for _, n := range w.nodes {
			if isLeader(scrapeNode(w.T, n).families) {
				leader = n
				return nil
			}
		}
		return errors.New("nobody leads")
	})
	return leader
}

// roles returns what a leader that has done both kinds of cycles exports, and what a follower exports.
func (w *world) roles() (leading, following map[string]*dto.MetricFamily) {
	w.Helper()
	eventually.Nil(w, patience, "a leader and a follower", func() error {
		leading, following = nil, nil
		for _, n := range w.nodes {
			_ = scrapeNode(w.T, n) // the request itself is counted, and shows in the next
			switch f := scrapeNode(w.T, n).families; {
			case len(f["rollcall_last_cycle_timestamp_seconds"].GetMetric()) == 2 && isLeader(f):
				leading = f
			case f != nil && !isLeader(f):
				following = f
			}
		}
		if leading == nil || following == nil {
			return errors.New("no node leads with both kinds of cycles done, or none follows")
		}
		return nil
	})
	return leading, following
}

// total returns the sum of a metric over nodes, of those series that have the labels.
func (w *world) total(metric string, labels []string, nodes ...*nodetest.Node) float64 {
	w.Helper()
	total := 0.0
	for _, n := range nodes {
		for name, s := range scrapeNode(w.T, n).samples(n.ID) {
			if strings.HasPrefix(name, metric+"{") && !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(name, l) }) {
				total += s.value
			}
		}
	}
	return total
}

// await waits until the total of a metric over nodes is one for which ok returns true.
func (w *world) await(what, metric string, labels []string, ok func(total float64) bool, nodes ...*nodetest.Node) {
	w.Helper()
	eventually.Nil(w, patience, what, func() error {
		if total := w.total(metric, labels, nodes...); !ok(total) {
			return fmt.Errorf("%s is %v", metric, total)
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
