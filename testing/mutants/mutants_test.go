// Package mutants tests the tests: each entry of its list is a small wrong change to production code, and names the suite that
// must fail.
package mutants

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/patch"
)

// mutant is one wrong change. It must not survive the suite.
type mutant struct {
	name  string // unique; used as a subtest's name
	file  string // relative to the repository's root
	edits []edit
	suite suite
}

// edit replaces old, which the file must contain exactly once, by new.
type edit struct{ old, new string }

// suite is a go test call: tests of one package. An empty run means all of them.
type suite struct{ pkg, run string }

// String returns the suite as a command.
func (s suite) String() string {
	if s.run == "" {
		return "go test " + s.pkg
	}
	return fmt.Sprintf("go test %s -run '%s'", s.pkg, s.run)
}

// install installs what the suite needs, as make test does.
func (s suite) install(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "deps", "PACKAGES="+s.pkg)
	cmd.Dir, cmd.Env = top, append(os.Environ(), "RACE=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("what %v needs is not installed: %v\n%s", s, err, tail(out))
	}
}

// change is a mutant with one edit.
func change(name, file, old, replacement string, s suite) mutant {
	return mutant{name: name, file: file, edits: []edit{{old, replacement}}, suite: s}
}

// minimum is the lowest number of mutants in the list, so that it does not shrink unnoticed.
const minimum = 60

func TestListMatchesTheCode(t *testing.T) {
	if len(mutants) < minimum {
		t.Errorf("the list has %d mutants, want at least %d", len(mutants), minimum)
	}
	named, err := os.ReadFile(filepath.Join(top, "docs/guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range mutants {
		if !bytes.Contains(named, []byte("`"+m.name+"`")) {
			t.Errorf("add `%s` to docs/guarantees.md, in backquotes: section \"Deliberate bugs\", the row of the promise that it breaks", m.name)
		}
		if names[m.name] || !regexp.MustCompile(`^[A-Za-z0-9-]+$`).MatchString(m.name) {
			t.Errorf("%q is listed twice, or is not a name of letters, digits and dashes", m.name)
		}
		names[m.name] = true
		if _, err := patch.Apply(top, m.patches()...); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if m.suite.run != "" {
			if _, err := regexp.Compile(m.suite.run); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
}

// TestMutants runs with MUTANTS=1, as make mutants does. MUTANT selects mutants by a regular expression. MUTANT_SUITE is another suite that
// they must not survive, such as ./testing/sim.
func TestMutants(t *testing.T) {
	if os.Getenv("MUTANTS") == "" {
		t.Log("make mutants runs them; here only the list is checked")
		return
	}
	wanted := regexp.MustCompile(os.Getenv("MUTANT"))
	passed := map[suite]bool{}
	for _, m := range mutants {
		if !wanted.MatchString(m.name) {
			continue
		}
		if other := os.Getenv("MUTANT_SUITE"); other != "" {
			m.suite = suite{pkg: other}
		}
		t.Run(m.name, func(t *testing.T) {
			if !passed[m.suite] {
				m.suite.install(t)
				out, err := m.suite.test("")
				if err != nil {
					t.Fatalf("%v fails without any change: %v\n%s", m.suite, err, tail(out))
				}
				if bytes.Contains(out, []byte("no tests to run")) {
					t.Fatalf("%v runs no test", m.suite)
				}
				passed[m.suite] = true
			}
			overlay := m.overlay(t)
			began := time.Now()
			out, err := m.suite.test(overlay)
			switch {
			case err == nil:
				t.Errorf("it survives %v: a change that is wrong, and no test fails", m.suite)
			case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
				t.Errorf("it does not compile: correct the replacement in list_test.go\n%s", tail(out))
			default:
				t.Logf("noticed in %v by %s", time.Since(began).Round(time.Second), failedTests(out))
			}
		})
	}
}

// overlay returns the path of a file for go's -overlay.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	file, err := patch.Overlay(t.TempDir(), top, m.patches()...)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (m mutant) patches() (all []patch.Edit) {
	for _, e := range m.edits {
		all = append(all, patch.Edit{File: m.file, Old: e.old, New: e.new})
	}
	return all
}

// top is the repository's root, relative to this package.
const top = "../.."

// test runs the suite; overlay is a file for go's -overlay, or empty.
func (s suite) test(overlay string) ([]byte, error) {
	args := []string{"test", "-failfast", "-timeout", "5m"}
	if overlay != "" {
		args = append(args, "-count=1", "-overlay", overlay)
	}
	if s.run != "" {
		args = append(args, "-run", s.run)
	}
	cmd := exec.Command("go", append(args, s.pkg)...)
	cmd.Dir = top
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MUTANT") })
	return cmd.CombinedOutput()
}

func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

var failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// failedTests returns the names of the tests that failed, or how the suite ended.
func failedTests(out []byte) string {
	var names []string
	for _, found := range failLine.FindAllSubmatch(out, 4) {
		names = append(names, string(found[1]))
	}
	if len(names) == 0 {
		return "a suite that did not end well:\n" + tail(out)
	}
	return strings.Join(names, ", ")
}
