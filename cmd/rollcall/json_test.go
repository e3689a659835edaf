package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// withoutJSON lists the commands that print nothing for programs to read, and why.
func withoutJSON() map[string]string {
	return map[string]string{
		"serve":                 "its output is its log: --log-format json",
		"dev":                   "for people to look at",
		"gen-docs":              "prints a page",
		"completion bash":       "prints a script",
		"completion zsh":        "prints a script",
		"completion fish":       "prints a script",
		"completion powershell": "prints a script",
	}
}

// TestEveryCommandPrintsJSON checks that every command has --json, and that stdout is then JSON and nothing else.
func TestEveryCommandPrintsJSON(t *testing.T) {
	t.Parallel()
	post := func(action, rest string) (string, string) {
		return `POST /api/sync-rooms {"action":"` + action + `"}`, `{"action":"` + action + `",` + rest + `}`
	}
	answers := map[string]string{
		"GET /api/sync-rooms": statusAnswer, "GET /api/rooms?limit=101": `{"rooms":[]}`, "GET /api/rooms/r": roomAnswer,
		"GET /api/drift?limit=50": driftAnswer, "GET /api/cluster": clusterAnswer, "GET /readyz": `{"status":"ready"}`,
		"POST /api/reload": `{"node":"n1","changed":[],"needRestart":[]}`,
		`POST /api/cluster {"action":"remove","id":"n2"}`: `{"action":"remove","id":"n2"}`,
	}
	for action, rest := range map[string]string{
		"sync": `"result":{"synced":1,"errors":0,"cleaned":0}`, "cleanup": `"cleaned":2`, "start-service": `"running":true`,
		"stop-service": `"running":false`, "full-sync": `"sync":{"synced":5,"errors":0,"cleaned":1},"cleanup":1`,
	} {
		request, answer := post(action, rest)
		answers[request] = answer
	}
	arguments := map[string][]string{
		"room": {"r"}, "cluster remove": {"n2"}, "man": {t.TempDir()}, "cert": {"n1", "--dir", filepath.Join(t.TempDir(), "certs")},
		"check-config": {"--livekit-host=h", "--livekit-api-key=k", "--livekit-api-secret=" + strings.Repeat("s", 32), "--redis-url=redis://r", "--admin-token=" + testToken},
	}
	n := newNode(t, answers)
	for _, path := range runnable((&app{}).root(), "") {
		if withoutJSON()[path] != "" {
			continue
		}
		if path == "watch" { // it runs until it is interrupted
			for line := range strings.Lines(watching(t, `"running":false`, "--json")) {
				if !json.Valid([]byte(line)) {
					t.Errorf("watch --json prints %s", line)
				}
			}
			continue
		}
		o := n.command(t, append(append(strings.Fields(path), arguments[path]...), "--json")...)
		if o.code != exitDone || o.errOut != "" || !json.Valid([]byte(o.out)) {
			t.Errorf("rollcall %s --json: exit %d, %q, %q", path, o.code, o.out, o.errOut)
		}
	}
}

// runnable returns the paths of the commands that do something.
func runnable(parent *cobra.Command, above string) []string {
	var all []string
	for _, cmd := range parent.Commands() {
		path := strings.TrimSpace(above + " " + cmd.Name())
		if cmd.Name() != "completion" && cmd.Name() != "help" {
			all = append(all, path)
		}
		all = append(all, runnable(cmd, path)...)
	}
	return all
}
