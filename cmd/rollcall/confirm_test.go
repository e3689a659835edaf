package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestStopAndForceAskFirst checks that on a terminal nothing is stopped or forced without a yes, and that scripts are not asked.
func TestStopAndForceAskFirst(t *testing.T) {
	for _, c := range []struct {
		args   string
		answer string // "none" for a script
		does   bool
	}{
		{"stop", "y\n", true},
		{"stop", "YES\n", true},
		{"stop", "n\n", false},
		{"stop", "\n", false},
		{"stop", "", false},
		{"stop", "none", true},
		{"stop --yes", "n\n", true},
		{"sync --force", "n\n", false},
		{"cleanup --force", "n\n", false},
		{"full-sync --force", "n\n", false},
		{"full-sync --force", "y\n", true},
		{"sync --force --yes", "n\n", true},
		{"sync --force --dry-run", "n\n", true},
		{"sync", "n\n", true},
		{"start", "n\n", true},
	} {
		asked := 0
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			body := struct{ Action string }{}
			_ = json.NewDecoder(r.Body).Decode(&body)
			fmt.Fprintf(w, `{"action":%q,"result":{"synced":0,"errors":0,"cleaned":0},"running":false}`, body.Action)
		}))
		d := deps{Terminal: strings.NewReader(c.answer)}
		if c.answer == "none" {
			d.Terminal = nil
		}
		o := command(t, d, nil, append(strings.Fields(c.args), "--addr", srv.URL)...)
		if (asked == 1) != c.does || (o.code == exitDone) != c.does || !c.does && !strings.Contains(o.errOut, "nothing was done") {
			t.Errorf("%s, answered %q: %d requests, %+v", c.args, c.answer, asked, o)
		}
		srv.Close()
	}
}
