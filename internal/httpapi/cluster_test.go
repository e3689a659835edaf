package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCluster(t *testing.T) {
	r := newRig(t, &node{cluster: Membership{Leader: "n1", Term: 3, Epoch: 12, Members: []Member{{ID: "n1", State: "ready", Voter: true,
		HTTPAddr: "h:8080", NodeAddr: "h:7000", Rooms: 4, Version: "v1"},
		{ID: "n2", State: "away", CannotWrite: []string{"r:6379"}, Why: "no Redis"}}}}, nil)
	const want = `{"leader":"n1","term":3,"epoch":12,"members":[{"id":"n1","state":"ready","voter":true,"httpAddr":"h:8080","nodeAddr":"h:7000","rooms":4,"version":"v1"},` +
		`{"id":"n2","state":"away","voter":false,"httpAddr":"","nodeAddr":"","rooms":0,"version":"","cannotWrite":["r:6379"],"why":"no Redis"}]}`
	if w := r.ask("GET", "/api/cluster", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("%d\n got %s\nwant %s", w.Code, w.Body, want)
	}
	r = newRig(t, &node{}, nil)
	if w := r.ask("GET", "/api/cluster", ""); !strings.Contains(w.Body.String(), `"members":[]`) {
		t.Errorf("an empty cluster: %s", w.Body)
	}
}

func TestRemoveNode(t *testing.T) {
	for _, c := range []struct {
		body   string
		fails  error
		status int
		answer string
	}{
		{`{"action":"remove","id":"n2"}`, nil, 200, `{"action":"remove","id":"n2","timestamp":"T"}`},
		{`{"action":"remove","id":"n2"}`, Refused{"too few"}, 409, `{"error":"too few"}`},
		{`{"action":"remove","id":"n2"}`, fmt.Errorf("asked: %w", ErrNoLeader), 503, `{"error":"The cluster has no leader now; try again shortly"}`},
		{`{"action":"remove"}`, nil, 400, ""},
		{`{"action":"add","id":"n2"}`, nil, 400, ""},
		{`{`, nil, 400, ""},
	} {
		n := &node{actErr: c.fails}
		w := newRig(t, n, nil).ask("POST", "/api/cluster", c.body)
		if w.Code != c.status || c.answer != "" && strings.TrimSpace(undated(w.Body.String())) != c.answer {
			t.Errorf("%s: %d %s", c.body, w.Code, w.Body)
		}
		if asked := slices.Equal(n.asked, []string{"remove n2"}); asked != (c.status != 400) {
			t.Errorf("%s: asked %q", c.body, n.asked)
		}
	}
}
