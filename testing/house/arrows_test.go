// Package house checks the rules of the tree: which package may import which, and the texts of errors.
package house

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rollcallhq/rollcall/"

// mayImport lists, for each production directory, which of ours it may import.
var mayImport = map[string][]string{
	"reconcile":              {},
	"fsm":                    {"reconcile"},
	"client":                 {},
	"actors":                 {"reconcile", "internal/crash", "internal/wait"},
	"cluster":                {"fsm", "reconcile", "internal/boltfile", "internal/wait"},
	"internal/redisstore":    {"reconcile", "internal/wait"},
	"internal/livekit":       {"reconcile", "internal/crash"},
	"internal/httpapi":       {"reconcile", "internal/certfile", "internal/httpapi/web", "internal/wait"},
	"internal/httpapi/web":   {},
	"internal/certfile":      {},
	"internal/crash":         {},
	"internal/wait":          {},
	"internal/confirm":       {},
	"internal/boltfile":      {},
	"internal/demo":          {"internal/livekitserver", "internal/wait"},
	"internal/livekitserver": {},
	"internal/authority":     {},
	"internal/wire":          {"reconcile", "actors"},
	"internal/tracing":       {"reconcile", "actors"},
	"internal/rpc":           {"reconcile", "actors", "internal/wire", "internal/wait"},
	"internal/node":          {"actors", "cluster", "fsm", "reconcile", "internal/rpc", "internal/wait"}, // no adapter: neither Redis nor LiveKit nor HTTP
	"internal/daemon": {"actors", "cluster", "fsm", "reconcile", "internal/node", "internal/rpc", "internal/config", "internal/redisstore", "internal/livekit",
		"internal/httpapi", "internal/certfile", "internal/tracing", "internal/wait"},
	"cmd/rollcall":    {"client", "fsm", "reconcile", "internal/config", "internal/daemon", "internal/demo", "internal/authority", "internal/certfile", "internal/confirm", "internal/httpapi"},
	"internal/config": {"fsm", "reconcile", "internal/certfile", "internal/livekit"},
}

var (
	arrowRow = regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\|.*\\| ([^|]+) \\|$")
	quoted   = regexp.MustCompile("`([a-z/]+)`")
)

// standardOnly lists packages that may import nothing outside the standard library.
var standardOnly = []string{"reconcile"}

func TestImportArrows(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, line := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		pkg, imports, _ := strings.Cut(line, " ")
		folder := strings.TrimPrefix(pkg, module)
		if strings.HasPrefix(folder, "testing/") {
			seen[folder] = true
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

// TestArchitectureNamesTheArrows compares the table of docs/architecture.md with mayImport.
func TestArchitectureNamesTheArrows(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| imports of ours |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := 0
	for _, row := range arrowRow.FindAllStringSubmatch(table, -1) {
		rows++
		folder, cell := row[1], row[2]
		allowed, known := mayImport[folder]
		if !known {
			t.Errorf("docs/architecture.md has %s, which has no place in the layout", folder)
			continue
		}
		named := []string{}
		for _, name := range quoted.FindAllStringSubmatch(cell, -1) {
			named = append(named, name[1])
			if !slices.Contains(allowed, name[1]) {
				t.Errorf("docs/architecture.md lets %s import %s, which it may not", folder, name[1])
			}
		}
		inWords := strings.Trim(quoted.ReplaceAllString(cell, ""), ", ")
		for _, ours := range allowed {
			if !slices.Contains(named, ours) && (inWords == "" || inWords == "none") {
				t.Errorf("docs/architecture.md does not say that %s may import %s", folder, ours)
			}
		}
	}
	if all := strings.Count(table, "\n| `"); rows != all || rows < 10 {
		t.Errorf("docs/architecture.md has %d rows of packages, and %d of them have one package each", all, rows)
	}
	for folder := range mayImport {
		if !strings.Contains(string(page), "`"+folder+"`") {
			t.Errorf("docs/architecture.md does not name %s", folder)
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

// list runs go list in the module's root.
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
