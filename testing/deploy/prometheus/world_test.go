package prometheus

import (
	"context"
	"errors"
	"flag"
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
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// patience limits waits that take seconds on an idle machine.
const patience = 3 * time.Minute

// TestMain lets all tests with real nodes run at once, on few processors too: they mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(nodetest.Main(m, false))
}

// world is one real node or a cluster of three, with a real Redis and a fake LiveKit.
type world struct {
	*testing.T
	nodes   []*nodetest.Node
	redis   *redistest.Server
	livekit *fakelivekit.Fake
	gate    *gate          // of a cluster, in front of the node address of gated; of a single node, in front of Redis
	gated   *nodetest.Node // in a cluster
	certs   string         // directory of the certificate that a single node uses, if it has one
	calm    phase          // a time without a fault, after which outages come
	joined  int
}

// surround returns a world without nodes, and the environment of nodes in it. LiveKit sends its webhooks to the node with this HTTP address.
func surround(t *testing.T, httpAddr string) (*world, []string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	logging.Disable()
	w := &world{T: t, redis: redistest.Start(t), gate: newGate(t)}
	w.livekit = fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{"http://" + httpAddr + "/api/livekit-webhook"}})
	t.Cleanup(w.livekit.Close)
	api := httptest.NewServer(w.livekit)
	t.Cleanup(api.Close)
	return w, append(fakelivekit.Env(api.URL), "REDIS_URL="+w.redis.URL())
}

// newAlone returns a world with one node, which runs, and has looked at it for a while without a fault. The node reaches Redis through the gate.
// arrange, if not nil, changes the node's options.
func newAlone(t *testing.T, arrange func(*nodetest.Options)) *world {
	t.Helper()
	o := nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "alone", HTTPAddr: freeaddr.ForTest(t, 1)[0],
		Flags: []string{"--sync-interval=1s", "--cleanup-interval=1s", "--log-level=info"}}
	w, env := surround(t, o.HTTPAddr)
	w.gate.lead(w.redis.Addr)
	o.Env = append(env, "REDIS_URL=redis://"+w.gate.addr())
	if arrange != nil {
		arrange(&o)
	}
	w.nodes = []*nodetest.Node{nodetest.New(t, o)}
	w.nodes[0].Start()
	w.settle()
	// On a busy machine webhooks may come later than a sync sees their changes, and that alert is right. Such a time is not calm.
	const lasts = 20 * time.Minute
	retry(t, "webhooks are missing without a fault", func() error {
		w.calm = w.look(lasts, nil)
		e := expectation{"a real node that is healthy", timeline(w.calm), []time.Duration{lasts - step}, nil, nil}
		return evaluation(t, `alertstate="firing",alertname="RollcallWebhooksMissing"`, e)
	})
	return w
}

func newWorld(t *testing.T) *world {
	t.Helper()
	addrs := freeaddr.ForTest(t, 6)
	w, env := surround(t, addrs[5])
	w.gate.lead(addrs[2])
	env = append(env, certify(t, t.TempDir(), 365)...)
	join := []string{addrs[0], addrs[1], w.gate.addr()}
	for i := range 3 {
		flags := []string{"--bootstrap-expect=3", "--join=" + strings.Join(join, ","), "--sync-interval=1s", "--cleanup-interval=1s", "--log-level=info"}
		w.nodes = append(w.nodes, nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: fmt.Sprintf("n%d", i+1), HTTPAddr: addrs[3+i],
			Env: append(slices.Clone(env), "ROLLCALL_NODE_ADDR="+addrs[i], "ROLLCALL_NODE_ADVERTISE="+join[i]), Flags: flags}))
	}
	w.gated = w.nodes[2]
	for _, n := range w.nodes {
		n.Start()
	}
	w.settle()
	return w
}

// certify writes an authority and a certificate for that many days into dir, or replaces them, and returns the environment of a node that uses
// them.
func certify(t *testing.T, dir string, days int) []string {
	t.Helper()
	made := authority.Options{Dir: dir, Days: days, Force: true}
	if _, err := authority.MakeFiles(made, []authority.Request{{Name: "n", Hosts: []string{"127.0.0.1"}}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return []string{"ROLLCALL_TLS_CA=" + dir + "/ca.pem", "ROLLCALL_TLS_CERT=" + dir + "/n.pem", "ROLLCALL_TLS_KEY=" + dir + "/n-key.pem"}
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

// scraped returns what Prometheus has after a scrape of all nodes.
func (w *world) scraped() map[string]sample {
	w.Helper()
	s := map[string]sample{}
	for _, n := range w.nodes {
		for name, value := range scrapeNode(w.T, n).samples(n.ID) {
			s[name] = value
		}
	}
	return s
}

// look scrapes all nodes, lets participants join for a few seconds, and scrapes again. It calls during, if not nil, before each of them joins.
func (w *world) look(lasts time.Duration, during func()) phase {
	w.Helper()
	begun := time.Now()
	p := phase{begin: w.scraped(), lasts: lasts}
	for time.Since(begun) < 4*time.Second {
		if during != nil {
			during()
		}
		w.joined++
		w.livekit.Join(fmt.Sprintf("room-%d", w.joined%7), fakelivekit.Who{Identity: fmt.Sprintf("user-%d", w.joined)})
		wait := time.NewTimer(200 * time.Millisecond)
		<-wait.C
	}
	p.began, p.took = time.Now(), time.Since(begun)
	p.end = w.scraped()
	return p
}

// glance scrapes all nodes once. In the phase that it returns no counter grows.
func (w *world) glance(lasts time.Duration) phase {
	w.Helper()
	p := phase{began: time.Now(), took: time.Second, lasts: lasts, end: w.scraped()}
	p.begin = p.end
	return p
}

// event returns the body of a webhook: a participant of a room has left.
func event(room string) string {
	return fmt.Sprintf(`{"event":"participant_left","id":"EV_%s%d","createdAt":"%d","room":{"sid":"RM_%[1]s","name":%[1]q},"participant":{"sid":"PA_%[1]s","identity":"ada","joinedAt":"%[3]d"}}`,
		room, time.Now().UnixNano(), time.Now().Unix())
}

// hook sends a webhook that LiveKit has signed to a node, and waits for the answer.
func (w *world) hook(n *nodetest.Node, body string) {
	w.Helper()
	token, err := fakelivekit.Sign([]byte(body), fakelivekit.DefaultKey, fakelivekit.DefaultSecret)
	if err != nil {
		w.Fatal(err)
	}
	w.post(n, "/api/livekit-webhook", token, body)
}

// post sends a request to a node. Whatever it answers is fine, and none is.
func (w *world) post(n *nodetest.Node, path, authorization, body string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL()+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
