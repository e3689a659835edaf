package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// The load of TestCompare.
const (
	senders     = 64
	loadRooms   = 500
	loadPeople  = 8 // who stay in each room
	warmUpFor   = 2 * time.Second
	loadFor     = 6 * time.Second
	syncedRooms = 5000
)

// contestant is a program that TestCompare measures.
type contestant struct {
	name   string
	binary string // of rollcall; empty for the naive service
}

// measured are the figures of one run.
type measured map[string]float64

// TestCompare measures this rollcall, the naive service and, if $BASE names a commit, the rollcall of that commit. They take turns in $ROUNDS
// rounds (5 by default), each freshly started, on an empty Redis, so that what else the machine does strikes all alike. It prints medians, the smallest and the
// largest value, and ratios. $COMPARE must be set, because it takes minutes.
func TestCompare(t *testing.T) {
	if os.Getenv("COMPARE") == "" {
		t.Skip("make bench runs it")
	}
	rounds := 5
	if text := os.Getenv("ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 1 {
			t.Fatalf("ROUNDS=%q is not a number of rounds", text)
		}
	}
	bin, err := nodetest.Build(t.Context(), t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	all := []contestant{{name: "naive"}, {"rollcall", bin}}
	if base := os.Getenv("BASE"); base != "" {
		all = append(all, contestant{base, buildBase(t, base)})
	}
	for _, kind := range []struct {
		name string
		run  func(*testing.T, contestant) measured
	}{
		{"1 node, closed loop", func(t *testing.T, c contestant) measured { return webhooks(t, c, 1) }},
		{"3 nodes, closed loop", func(t *testing.T, c contestant) measured { return webhooks(t, c, 3) }},
		{fmt.Sprintf("sync of %d rooms of 4 that are right", syncedRooms), rightSync},
	} {
		t.Run(kind.name, func(t *testing.T) {
			got := map[string][]measured{}
			for round := range rounds {
				for _, c := range all {
					t.Run(fmt.Sprintf("round %d, %s", round+1, c.name), func(t *testing.T) { got[c.name] = append(got[c.name], kind.run(t, c)) })
				}
			}
			t.Log(table(all, got))
		})
	}
}

// buildBase builds the rollcall of a commit, in a work tree of its own.
func buildBase(t *testing.T, commit string) string {
	tree, bin := filepath.Join(t.TempDir(), "base"), filepath.Join(t.TempDir(), "rollcall")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("BASE=%s: %s %s: %v\n%s", commit, name, strings.Join(args, " "), err, out)
		}
	}
	run("git", "worktree", "add", "--detach", tree, commit)
	defer run("git", "worktree", "remove", "--force", tree)
	run("go", "build", "-C", tree, "-trimpath", "-o", bin, "./cmd/rollcall")
	return bin
}

// world is a contestant that runs.
type world struct {
	fake  *fakelivekit.Fake
	redis *redistest.Server
	urls  []string
	pids  []int
}

// start runs a contestant on that many nodes between a Redis and a LiveKit.
func start(t *testing.T, c contestant, nodes int, fill func(*fakelivekit.Fake)) *world {
	w := &world{fake: fakelivekit.New(fakelivekit.Options{Seed: 1}), redis: redistest.Start(t)}
	t.Cleanup(w.fake.Close)
	fill(w.fake)
	livekit := httptest.NewServer(w.fake)
	t.Cleanup(livekit.Close)
	env := append(fakelivekit.Env(livekit.URL), "REDIS_URL="+w.redis.URL())
	if c.binary == "" {
		for range nodes {
			w.startNaive(t, env)
		}
		return w
	}
	between := freeaddr.ForTest(t, nodes)
	var all []*nodetest.Node
	for i := range nodes {
		flags := []string{"--log-level=warn", "--sync-interval=1h", "--cleanup-interval=1h", "--livekit-concurrency=64"}
		if nodes > 1 {
			flags = append(flags, "--node-addr="+between[i], "--join="+strings.Join(between, ","), fmt.Sprintf("--bootstrap-expect=%d", nodes))
		}
		n := nodetest.New(t, nodetest.Options{Binary: c.binary, ID: fmt.Sprintf("n%d", i+1), Flags: flags, Env: env})
		n.Start()
		all = append(all, n)
	}
	for _, n := range all {
		n.AwaitReady()
		w.urls, w.pids = append(w.urls, n.URL()), append(w.pids, n.Pid())
	}
	return w
}

func (w *world) startNaive(t *testing.T, env []string) {
	addr := freeaddr.ForTest(t, 1)[0]
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), env...), naiveEnv+"="+addr)
	cmd.Stderr = os.Stderr
	p, err := proc.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	w.urls, w.pids = append(w.urls, "http://"+addr), append(w.pids, p.Pid())
	eventually.True(t, "the naive service answers", func() bool {
		resp, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
}

// cpu returns the processor time of the nodes, and that of Redis, in seconds.
func (w *world) cpu(t *testing.T) (nodes, redis float64) {
	for _, pid := range w.pids {
		nodes += cpuSeconds(t, pid)
	}
	return nodes, cpuSeconds(t, w.redis.Pid())
}

// cpuSeconds reads a process' processor time from /proc, which counts in hundredths of a second.
func cpuSeconds(t testing.TB, pid int) float64 {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatalf("/proc/%d/stat: %s", pid, stat)
	}
	return float64(user+system) / 100
}

// inTurn sends requests to several nodes in turn, whatever their URL says.
type inTurn struct {
	http.RoundTripper
	hosts []string
	next  atomic.Uint64
}

func (i *inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = i.hosts[i.next.Add(1)%uint64(len(i.hosts))]
	return i.RoundTripper.RoundTrip(r)
}

// webhooks sends joins and leaves from senders that each wait for their answer.
func webhooks(t *testing.T, c contestant, nodes int) measured {
	var load *clusterkit.Load
	w := start(t, c, nodes, func(fake *fakelivekit.Fake) {
		load = clusterkit.MakeLoad(fake, fakelivekit.DefaultKey, fakelivekit.DefaultSecret, loadRooms)
		for _, room := range load.Rooms {
			for i := range loadPeople - 1 {
				fake.Join(room.Name, fakelivekit.Who{Identity: fmt.Sprintf("user-%d", i)})
			}
		}
	})
	syncAll(t, w, loadRooms)
	turn := &inTurn{RoundTripper: &http.Transport{MaxIdleConnsPerHost: senders}}
	for _, url := range w.urls {
		turn.hosts = append(turn.hosts, strings.TrimPrefix(url, "http://"))
	}
	load.URL, load.Transport = w.urls[0]+"/api/livekit-webhook", turn
	load.Closed(t.Context(), senders, warmUpFor)
	nodesBefore, redisBefore := w.cpu(t)
	r := load.Closed(t.Context(), senders, loadFor)
	nodesAfter, redisAfter := w.cpu(t)
	if r.OK != r.Sent {
		t.Fatalf("not every webhook was answered with 200: %v", r)
	}
	each := func(seconds float64) float64 { return seconds * 1e6 / float64(r.OK) }
	return measured{"per second": r.Rate(), "p99 ms": float64(r.OKP99.Microseconds()) / 1000, "CPU µs": each(nodesAfter - nodesBefore), "Redis µs": each(redisAfter - redisBefore)}
}

// syncAll has the first node sync all rooms.
func syncAll(t *testing.T, w *world, rooms int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if a := act(ctx, t, w.urls[0], "sync"); a.Result.Synced != rooms || a.Result.Errors != 0 {
		t.Fatalf("the sync: %+v", a)
	}
}

// rightSync syncs rooms that are right, after a first sync that wrote them.
func rightSync(t *testing.T, c contestant) measured {
	w := start(t, c, 1, func(fake *fakelivekit.Fake) {
		fill(fake, syncedRooms, 4)
	})
	syncAll(t, w, syncedRooms)
	nodesBefore, redisBefore := w.cpu(t)
	begun := time.Now()
	syncAll(t, w, syncedRooms)
	took := time.Since(begun)
	nodesAfter, redisAfter := w.cpu(t)
	each := func(seconds float64) float64 { return seconds * 1e6 / syncedRooms }
	return measured{"seconds": took.Seconds(), "CPU µs a room": each(nodesAfter - nodesBefore), "Redis µs a room": each(redisAfter - redisBefore)}
}

// table shows for each contestant the median of each figure, its smallest and largest value, and the median's ratio to the naive service's.
func table(all []contestant, got map[string][]measured) string {
	var names []string
	for name := range got[all[0].name][0] {
		names = append(names, name)
	}
	slices.Sort(names)
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n\t%s\n", strings.Join(names, "\t"))
	reference := map[string]float64{}
	for _, c := range all {
		fmt.Fprint(w, c.name)
		for _, name := range names {
			var values []float64
			for _, m := range got[c.name] {
				values = append(values, m[name])
			}
			slices.Sort(values)
			median := values[len(values)/2]
			if c.name == all[0].name {
				reference[name] = median
			}
			fmt.Fprintf(w, "\t%.4g (%.4g–%.4g) ×%.2f", median, values[0], values[len(values)-1], median/reference[name])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return out.String()
}
