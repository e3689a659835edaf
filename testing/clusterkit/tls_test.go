package clusterkit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestTLS checks that nodes with certificates of `rollcall cert` work like those without. A node with a certificate of another
// authority, or with none, does not get in and harms nobody; with a certificate of theirs it gets in.
func TestTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("needs real servers")
	}
	ours, foreign := certificates(t, "n1", "n2", "n3", "n4", "n6"), certificates(t, "n4")
	flags := func(id string) []string {
		switch id {
		case "n4":
			return tlsFlags(foreign, id)
		case "n5":
			return nil
		}
		return tlsFlags(ours, id)
	}
	c := start(t, clusterkit.Options{FlagsOf: flags})
	traffic := c.StartTraffic(rooms, rate)
	c.Pass(under)
	for _, why := range []string{"certificate", "ask "} { // n4 and n5
		node := c.Make()
		node.Start()
		c.Await(node.ID+" says why it cannot join", func() error {
			return node.Says("waiting for a node of --join", why)
		})
		if err := node.Probe("/readyz", 503); err != nil {
			t.Error(err)
		}
		node.Kill()
	}
	c.AwaitView("n1", "n2", "n3")
	for _, n := range c.Awake() {
		s, err := c.Seen(n)
		if err != nil || len(s.Members) != 3 {
			t.Errorf("%s knows of %+v: %v", n.ID, s, err)
		}
	}
	c.Add()
	c.AwaitView("n1", "n2", "n3", "n6")
	c.Pass(under)
	traffic.Stop()
	if s := c.Verify(); s.Lost > 0 {
		t.Errorf("%d webhooks were lost", s.Lost)
	}
}

// certificates creates an authority and certificates for the nodes, and returns their directory.
func certificates(t *testing.T, ids ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	out, err := exec.Command(os.Getenv(nodetest.BinEnv), append([]string{"cert", "--dir", dir}, ids...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("rollcall cert %s: %v: %s", strings.Join(ids, " "), err, out)
	}
	return dir
}

func tlsFlags(dir, id string) []string {
	return []string{"--tls-ca=" + filepath.Join(dir, "ca.pem"), "--tls-cert=" + filepath.Join(dir, id+".pem"), "--tls-key=" + filepath.Join(dir, id+"-key.pem")}
}
