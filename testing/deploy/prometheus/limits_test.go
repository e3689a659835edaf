package prometheus

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

const (
	// streams is how many streams of events a node serves, and places how many connections one with so many files accepts.
	streams = 64
	places  = 192
	files   = 256
	token   = "a-token-for-the-admin-of-this-test"
)

// TestRealLimits checks that alerts fire when a real node's places for callers are taken, its certificate ends, and another rollcall writes to
// its Redis.
func TestRealLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newAlone(t, func(o *nodetest.Options) {
		o.Wrapper = []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, files), "sh"}
		o.Flags = append(o.Flags, "--metrics-public", "--node-addr="+freeaddr.ForTest(t, 1)[0])
		o.Env = append(append(o.Env, certify(t, dir, 365)...), "ROLLCALL_ADMIN_TOKEN="+token)
	})
	w.certs = dir
	w.suffer(t, limitOutages())
}

func limitOutages() []outage {
	return []outage{
		{name: "full, and about to expire", run: fullAndExpiring,
			alerts: []string{"RollcallEventStreamsFull", "RollcallConnectionsHigh", "RollcallCertificateExpires", "RollcallCertificateExpiresSoon"}},
		{name: "no place left", alerts: []string{"RollcallConnectionsRefused"}, run: noPlace},
		{name: "another rollcall", alerts: []string{"RollcallAnotherWriter"}, run: anotherWriter},
	}
}

// fullAndExpiring gives the node a certificate for six days, opens all streams of events that it serves, and takes nine in ten places for
// connections.
func fullAndExpiring(t *testing.T, w *world, o outage) {
	certify(t, w.certs, 6)
	n := w.nodes[0]
	w.openStreams(t, n)
	for range places*9/10 - streams {
		w.idle(t, n)
	}
	soon := float64(time.Now().Add(7 * 24 * time.Hour).Unix())
	w.await("the certificate is replaced", "rollcall_tls_certificate_expiry_timestamp_seconds", nil, func(v float64) bool { return v < soon }, n)
	o.fires(t, w, 20*time.Minute, nil)
}

// noPlace takes the places for connections that streams of events leave with webhooks whose bodies do not come, until a connection is refused.
func noPlace(t *testing.T, w *world, o outage) {
	n := w.nodes[0]
	w.openStreams(t, n)
	retry(t, "no connection is refused", func() error {
		ctx, leave := context.WithTimeout(t.Context(), patience)
		defer leave()
		var hooks sync.WaitGroup
		for range places - streams + 10 {
			hooks.Go(func() { bodiless(ctx, n, leave) })
		}
		hooks.Wait()
		return o.evaluate(t, w.calm, w.glance(2*time.Minute))
	})
}

// bodiless sends a webhook without its body on a connection of its own, and again when that is answered, until ctx ends. It calls refused if the
// node closes the connection without an answer.
func bodiless(ctx context.Context, n *nodetest.Node, refused func()) {
	signed, err := fakelivekit.Sign(nil, fakelivekit.DefaultKey, fakelivekit.DefaultSecret)
	for err == nil && ctx.Err() == nil {
		conn, dialed := (&net.Dialer{}).DialContext(ctx, "tcp", n.Addr)
		if dialed != nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_, _ = fmt.Fprintf(conn, "POST /api/livekit-webhook HTTP/1.1\r\nHost: rollcall\r\nAuthorization: %s\r\nContent-Length: 1000\r\n\r\n", signed)
		if answered, _ := io.Copy(io.Discard, conn); answered == 0 {
			refused()
		}
		stop()
		_ = conn.Close()
	}
}

// openStreams opens all streams of events that a node serves, each on a connection of its own, until the test ends.
func (w *world) openStreams(t *testing.T, n *nodetest.Node) {
	t.Helper()
	for range streams {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("a stream of events does not open: %v", err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
}

// idle opens a connection on which nothing is asked for after the first answer, until the test ends.
func (w *world) idle(t *testing.T, n *nodetest.Node) {
	t.Helper()
	conn, err := net.Dial("tcp", n.Addr)
	if err == nil {
		_, err = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: rollcall\r\n\r\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
}

// anotherWriter starts another rollcall with the same Redis.
func anotherWriter(t *testing.T, w *world, o outage) {
	other := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "other", Env: w.nodes[0].Env,
		Flags: []string{"--sync-interval=1s", "--node-addr=" + freeaddr.ForTest(t, 1)[0]}})
	other.Start()
	eventually.Nil(w, patience, "the other is ready", func() error { return other.Probe("/readyz", http.StatusOK) })
	o.fires(t, w, 15*time.Minute, nil)
	other.Kill()
}
