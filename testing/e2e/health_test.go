package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// onRedis starts a rollcall on that Redis. Its LiveKit does not answer, on which readiness does not depend.
func onRedis(t *testing.T, url string, flags ...string) *nodetest.Node {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	n := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "n1", Flags: flags})
	n.Env = []string{"LIVEKIT_HOST=http://127.0.0.1:9", "LIVEKIT_API_KEY=" + livekittest.Key, "LIVEKIT_API_SECRET=" + livekittest.Secret,
		"REDIS_URL=" + url}
	n.Start()
	return n
}

func do(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	if err := s.Client().Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// TestNotReadyWhereNoCommitGoesThrough checks that a Redis that answers PING and refuses commits makes a node not ready, and that
// the log says what to do. Once that is done, the node becomes ready by itself.
func TestNotReadyWhereNoCommitGoesThrough(t *testing.T) {
	t.Parallel()
	const user = "weak"
	weak := func(t *testing.T, rules ...any) (string, func()) {
		r := redistest.Start(t)
		do(t, r, append([]any{"ACL", "SETUSER", user, "on", ">x", "~*", "+@all"}, rules...)...)
		return "redis://" + user + ":x@" + r.Addr, func() { do(t, r, "ACL", "SETUSER", user, "+@all", "~*") }
	}
	for name, c := range map[string]struct {
		start func(t *testing.T) (url string, mend func())
		says  []string
	}{
		"a replica": {func(t *testing.T) (string, func()) {
			primary, replica := redistest.Start(t), redistest.Start(t)
			host, port, _ := net.SplitHostPort(primary.Addr)
			do(t, replica, "REPLICAOF", host, port)
			eventually.Nil(t, patience, "the replica has its primary's data", func() error {
				if info := replica.Client().Info(t.Context(), "replication").Val(); !strings.Contains(info, "master_link_status:up") {
					return errors.New(info)
				}
				return nil
			})
			return replica.URL(), func() { do(t, replica, "REPLICAOF", "NO", "ONE") }
		}, []string{"refuses this node's commits", "READONLY", "primary's address"}},
		"a user without scripts": {func(t *testing.T) (string, func()) { return weak(t, "-@scripting") },
			[]string{"refuses this node's commits", "NOPERM", "docs/security.md"}},
		"a user without HSET": {func(t *testing.T) (string, func()) { return weak(t, "-hset") },
			[]string{"refuses this node's commits", "command HSET", "docs/security.md"}},
		"a user without the keys": {func(t *testing.T) (string, func()) { return weak(t, "resetkeys", "~app:*") },
			[]string{"refuses this node's commits", "docs/security.md"}},
		"EVALSHA switched off": {func(t *testing.T) (string, func()) {
			return redistest.Start(t, "--rename-command", "EVALSHA", "").URL(), nil
		}, []string{"refuses this node's commits", "allow EVAL and EVALSHA"}},
		"a node of a Cluster": {func(t *testing.T) (string, func()) {
			return redistest.StartCluster(t, 2).Nodes[0].URL(), nil
		}, []string{"a node of a Redis Cluster answers", "redis+cluster://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, mend := c.start(t)
			n := onRedis(t, url)
			eventually.Nil(t, patience, "the log says what to do", func() error { return n.Says(c.says...) })
			if err := errors.Join(n.Probe("/livez", http.StatusOK), n.Probe("/readyz", http.StatusServiceUnavailable)); err != nil {
				t.Error(err)
			}
			if mend == nil {
				return
			}
			mend()
			n.AwaitReady()
			eventually.Nil(t, patience, "the log says that it is over", func() error { return n.Says("Redis takes commits again") })
		})
	}
}

// TestAFullRedisLeavesTheNodeReady checks that a node with a full Redis stays ready, because no other node could do better. The
// metric and the log report it.
func TestAFullRedisLeavesTheNodeReady(t *testing.T) {
	t.Parallel()
	r := redistest.Start(t)
	n := onRedis(t, r.URL(), "--metrics-public")
	n.AwaitReady()
	do(t, r, "CONFIG", "SET", "maxmemory", "1")
	eventually.Nil(t, patience, "the log says so", func() error { return n.Says("takes no writes", "raise maxmemory") })
	if err := errors.Join(n.Probe("/readyz", http.StatusOK), shardUp(t, n, r.Addr, 0)); err != nil {
		t.Error(err)
	}
	do(t, r, "CONFIG", "SET", "maxmemory", "0")
	eventually.Nil(t, patience, "the metric recovers", func() error { return shardUp(t, n, r.Addr, 1) })
}

func shardUp(t *testing.T, n *nodetest.Node, shard string, want int) error {
	t.Helper()
	resp, err := http.Get(n.URL() + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	line := fmt.Sprintf("rollcall_redis_shard_up{shard=%q} %d\n", shard, want)
	if err == nil && !strings.Contains(string(text), line) {
		err = fmt.Errorf("the metrics lack %s", line)
	}
	return err
}

// TestOneShardDown checks that while one of a Redis Cluster's masters is down the node stays ready, and names it in status,
// metric and log.
func TestOneShardDown(t *testing.T) {
	t.Parallel()
	redises := redistest.StartCluster(t, 3)
	for _, one := range redises.Nodes {
		do(t, one, "CONFIG", "SET", "cluster-require-full-coverage", "no")
	}
	n := onRedis(t, "redis+cluster://"+strings.Join(redises.Addrs(), ","), "--metrics-public")
	n.AwaitReady()
	gone := redises.Nodes[2]
	gone.Pause()
	c, err := client.New(n.URL())
	if err != nil {
		t.Fatal(err)
	}
	names := func(want string) error {
		s, err := c.Cluster(bounded(t))
		if err == nil && (len(s.Members) != 1 || strings.Join(s.Members[0].CannotWrite, " ") != want || s.Members[0].State != "ready") {
			err = fmt.Errorf("%+v", s.Members)
		}
		return errors.Join(err, n.Probe("/readyz", http.StatusOK))
	}
	eventually.Nil(t, patience, "it is named", func() error {
		return errors.Join(names(gone.Addr), shardUp(t, n, gone.Addr, 0), shardUp(t, n, redises.Nodes[0].Addr, 1),
			n.Says("a shard of Redis takes no commits", gone.Addr))
	})
	gone.Resume()
	eventually.Nil(t, patience, "it recovers", func() error { return errors.Join(names(""), shardUp(t, n, gone.Addr, 1)) })
}

// TestANodeThatCannotWriteOneShard runs three nodes on a Redis Cluster in which one user may not run scripts on one master. While
// one node has that user, its rooms move to the others and it is not ready. A shard that none of the three can write leaves all
// of them ready.
func TestANodeThatCannotWriteOneShard(t *testing.T) {
	t.Parallel()
	for weak := 1; weak <= 3; weak += 2 {
		t.Run(fmt.Sprint(weak, " of 3 nodes"), func(t *testing.T) {
			redises := redistest.StartCluster(t, 3)
			for _, one := range redises.Nodes {
				do(t, one, "ACL", "SETUSER", "weak", "on", ">x", "~*", "+@all")
			}
			addrs := freeaddr.ForTest(t, 3)
			var nodes []*nodetest.Node
			for i, addr := range addrs {
				user := ""
				if i < weak {
					user = "weak:x@"
				}
				nodes = append(nodes, onRedis(t, "redis+cluster://"+user+strings.Join(redises.Addrs(), ","), fmt.Sprint("--node-id=n", i+1),
					"--node-addr="+addr, "--bootstrap-expect=3", "--join="+strings.Join(addrs, ",")))
			}
			for _, n := range nodes {
				n.AwaitReady()
			}
			mended := redises.Nodes[1]
			do(t, mended, "ACL", "SETUSER", "weak", "-@scripting")
			c, err := client.New(nodes[2].URL())
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusOK
			if weak == 1 {
				want = http.StatusServiceUnavailable
			}
			eventually.Nil(t, patience, "the cluster shows it", func() error {
				s, err := c.Cluster(bounded(t))
				if err != nil {
					return err
				}
				for i, m := range s.Members {
					switch {
					case weak == 1 && i == 0 && m.State != "away", (weak == 3 || i > 0) && m.State != "ready",
						weak == 3 && strings.Join(m.CannotWrite, "") != mended.Addr, weak == 1 && i > 0 && len(m.CannotWrite) > 0:
						return fmt.Errorf("%+v", m)
					}
				}
				return errors.Join(nodes[0].Probe("/readyz", want), nodes[1].Probe("/readyz", http.StatusOK), nodes[2].Probe("/readyz", http.StatusOK))
			})
			do(t, mended, "ACL", "SETUSER", "weak", "+@all")
			for _, n := range nodes {
				n.AwaitReady()
			}
			eventually.Nil(t, patience, "all are members and write everywhere", func() error {
				s, err := c.Cluster(bounded(t))
				for _, m := range s.Members {
					if m.State != "ready" || len(m.CannotWrite) > 0 {
						err = fmt.Errorf("%+v", m)
					}
				}
				return err
			})
		})
	}
}
