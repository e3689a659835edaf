// Package house holds the tree to the rules of its layout: who may import whom.
package house

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rollcallhq/rollcall/"

// mayImport lists, for each production folder, which of ours it may import. cmd may import all.
var mayImport = map[string][]string{
	"reconcile":            {},
	"fsm":                  {},
	"client":               {},
	"actors":               {"reconcile", "internal/crash"},
	"cluster":              {"fsm", "internal/boltfile"},
	"internal/redisstore":  {"reconcile"},
	"internal/livekit":     {"reconcile", "internal/crash"},
	"internal/httpapi":     {"reconcile", "internal/certfile", "internal/httpapi/web"},
	"internal/httpapi/web": {},
	"internal/certfile":    {},
	"internal/crash":       {},
	"internal/boltfile":    {},
	"internal/demo":        {},
	"internal/authority":   {},
	"internal/wire":        {"reconcile", "actors"},
	"internal/rpc":         {"reconcile", "actors", "internal/wire"},
	"internal/ownership":   {"actors", "cluster", "fsm", "reconcile"}, // the joint between the two; no adapter
}

// standardOnly may import nothing outside the standard library either.
var standardOnly = []string{"reconcile"}

func TestImportArrows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		pkg, imports, _ := strings.Cut(line, " ")
		folder := strings.TrimPrefix(pkg, module)
		if strings.HasPrefix(folder, "cmd/") || strings.HasPrefix(folder, "testing/") {
			seen[folder] = true
			checkNoTesting(t, folder, imports)
			continue
		}
		allowed, known := mayImport[folder]
		if !known {
			t.Errorf("%s has no place in the layout: add it to mayImport and to the README's table, or move it", folder)
			continue
		}
		seen[folder] = true
		for path := range strings.FieldsSeq(imports) {
			checkImport(t, folder, path, allowed)
		}
	}
	for folder := range mayImport {
		if !seen[folder] {
			t.Errorf("%s is in the layout but not in the tree", folder)
		}
	}
}

func checkImport(t *testing.T, folder, path string, allowed []string) {
	t.Helper()
	ours, isOurs := strings.CutPrefix(path, module)
	switch {
	case isOurs && !slices.Contains(allowed, ours):
		t.Errorf("%s imports %s, which it may not", folder, ours)
	case !isOurs && slices.Contains(standardOnly, folder) && strings.Contains(strings.Split(path, "/")[0], "."):
		t.Errorf("%s imports %s, but may use the standard library only", folder, path)
	}
}

func checkNoTesting(t *testing.T, folder, imports string) {
	t.Helper()
	if !strings.HasPrefix(folder, "cmd/") {
		return
	}
	for path := range strings.FieldsSeq(imports) {
		if strings.HasPrefix(path, module+"testing/") {
			t.Errorf("%s imports %s: nothing in production imports testing/", folder, path)
		}
	}
}

// list runs go list at the module's root.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
