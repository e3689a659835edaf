package compose

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestComposeUp runs `docker compose up` as users do, with three nodes.
func TestComposeUp(t *testing.T) {
	e := Need(t.Context(), t)
	threeNodesServe(t, project(t, e, Options{}))
}

// TestComposeUpWithTLS does the same without --insecure, with certificates that `rollcall cert` has made.
func TestComposeUpWithTLS(t *testing.T) {
	e := Need(t.Context(), t)
	volume := "rollcall-certs-" + strings.ToLower(rand.Text()[:10])
	// Registered before the project's own cleanup, so that it runs after it: the nodes use the volume.
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := e.docker(ctx, "volume", "rm", "--force", volume); err != nil {
			t.Error(err)
		}
	})
	// A new volume inherits the owner of /data, so that the image's user can write there, and the nodes can read it.
	_, err := e.docker(within(t, time.Minute), "run", "--rm", "--network", "none", "-v", volume+":/data", RollcallImage,
		"cert", "--dir", "/data/certs", "rollcall-1", "rollcall-2", "rollcall-3")
	if err != nil {
		t.Fatal(err)
	}
	p := project(t, e, Options{Files: []string{"testing/compose/tls.yml"}, Env: []string{"ROLLCALL_CERTS=" + volume}})
	threeNodesServe(t, p)
}

func threeNodesServe(t *testing.T, p *Project) {
	t.Helper()
	if err := p.Up(within(t, 3*time.Minute)); err != nil {
		t.Fatal(err)
	}
	nodes := []string{"rollcall-1", "rollcall-2", "rollcall-3"}
	for _, node := range nodes {
		if err := nodetest.Probe(t.Context(), "http://"+addr(t, p, node, 8080)+"/readyz", http.StatusOK); err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
	ctx := within(t, time.Minute)
	eventually.Nil(t, time.Minute, "all nodes see one leader and three nodes", func() error {
		leaders := map[string]bool{}
		for _, node := range nodes {
			leader, ready, err := cluster(ctx, p, node)
			if err != nil {
				return err
			}
			if leader == "" || ready != 3 {
				return fmt.Errorf("%s knows %d ready members and the leader %q", node, ready, leader)
			}
			leaders[leader] = true
		}
		if len(leaders) != 1 {
			return fmt.Errorf("the nodes know several leaders: %v", leaders)
		}
		return nil
	})
	// Whichever node leads, two of these requests are forwarded to it.
	for _, node := range nodes {
		if _, err := p.Exec(ctx, node, "/rollcall", "sync"); err != nil {
			t.Errorf("sync by %s: %v", node, err)
		}
	}
	webhookReachesRedis(t, p, "room")
}

// cluster returns the leader and the number of ready members, according to a node.
func cluster(ctx context.Context, p *Project, node string) (leader string, ready int, err error) {
	out, err := p.Exec(ctx, node, "/rollcall", "cluster", "--json")
	if err != nil {
		return "", 0, err
	}
	var answer struct {
		Leader  string `json:"leader"`
		Members []struct {
			State string `json:"state"`
		} `json:"members"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return "", 0, fmt.Errorf("read the answer of rollcall cluster: %w", err)
	}
	for _, m := range answer.Members {
		if m.State == "ready" {
			ready++
		}
	}
	return answer.Leader, ready, nil
}
