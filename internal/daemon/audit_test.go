package daemon

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// TestOneAuditLinePerAction asks both nodes of a cluster for actions, one of which passes them on to the leader, and checks that each is one
// line in the logs of all, on the node that was asked.
func TestOneAuditLinePerAction(t *testing.T) {
	const token = "0123456789abcdef-admin"
	p := newPair(t, "--admin-token="+token)
	p.livekit.Join("r", fakelivekit.Who{Identity: "anna"})
	p.present(1)
	want := map[string]int{}
	for i, d := range p.nodes {
		for _, body := range []string{`{"action":"sync","force":true}`, `{"action":"full-sync"}`, `{"action":"cleanup","dryRun":true}`, `{"action":"stop-service"}`,
			`{"action":"start-service"}`, `{"action":"nonsense"}`} {
			for _, bearer := range []string{token, "wrong"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.Addr().String()+"/api/sync-rooms", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+bearer)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
		}
		name := []string{"n1", "n2"}[i]
		for _, line := range []string{"action=sync outcome=done dryRun=false force=true who=admin", "action=full-sync outcome=done", "action=cleanup outcome=done dryRun=true",
			"action=stop-service outcome=done", "action=start-service outcome=done", "action=unknown outcome=refused",
			"action=sync outcome=unauthorized dryRun=false force=true who=invalid", "action=full-sync outcome=unauthorized", "action=cleanup outcome=unauthorized dryRun=true",
			"action=stop-service outcome=unauthorized", "action=start-service outcome=unauthorized", "action=unknown outcome=unauthorized"} {
			want[name+" "+line]++
		}
	}
	all := 0
	for i := range p.logs {
		name := []string{"n1", "n2"}[i]
		for line := range strings.Lines(p.logs[i].String()) {
			if !strings.Contains(line, `msg="admin action"`) {
				continue
			}
			all++
			if !strings.Contains(line, "node="+name) || !strings.Contains(line, "level=INFO") || strings.Contains(line, token) {
				t.Errorf("%s logs %s", name, line)
			}
			for prefix := range want {
				if node, text, _ := strings.Cut(prefix, " "); node == name && strings.Contains(line, text+" ") {
					want[prefix]--
				}
			}
		}
	}
	for line, n := range want {
		if n != 0 {
			t.Errorf("%d lines too few: %s", n, line)
		}
	}
	if all != len(want) {
		t.Errorf("%d lines for %d actions:\n%s%s", all, len(want), p.logs[0].String(), p.logs[1].String())
	}
}
