package e2e

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/daemon"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestInProcess runs a whole daemon in this process, on free ports, as someone who embeds or debugs it does.
func TestInProcess(t *testing.T) {
	t.Parallel()
	livekit := fakelivekit.New(fakelivekit.Options{Seed: 1})
	defer livekit.Close()
	api := httptest.NewServer(livekit)
	defer api.Close()
	redis := redistest.Start(t)
	c := nodetest.Config(t, fakelivekit.Env(api.URL), "--node-id=n1", "--http-addr=127.0.0.1:0", "--node-addr=127.0.0.1:0",
		"--data-dir="+t.TempDir(), "--redis-url="+redis.URL(), "--drain-delay=0s")
	d, err := daemon.Start(t.Context(), c, httpapi.Build{Version: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + d.Addr().String()
	eventually.Nil(t, time.Minute, "the daemon is ready", func() error { return nodetest.Probe(t.Context(), url+"/readyz", http.StatusOK) })
	body := fmt.Sprintf(`{"event":"room_started","id":"EV_1","createdAt":%d,"room":{"sid":"RM_1","name":"r","creationTime":%[1]d}}`, time.Now().Unix())
	token, err := fakelivekit.Sign([]byte(body), fakelivekit.DefaultKey, fakelivekit.DefaultSecret)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/livekit-webhook", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if n, err := redis.Client().Exists(t.Context(), "rooms:states:r").Result(); resp.StatusCode != http.StatusOK || n != 1 || err != nil {
		t.Errorf("the webhook got %d; %d rooms in Redis, %v", resp.StatusCode, n, err)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}
