// Package fuzzall runs every fuzz target of the repository, each for an equal part of the time.
package fuzzall

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// top is the repository's root, relative to this package.
	top    = "../.."
	module = "github.com/rollcallhq/rollcall"
	// grace is how much longer than its part of the time a target may run before it is ended: it also reads its seeds, and
	// minimizes a failing input.
	grace = 2 * time.Minute
)

// target is one fuzz target: its package's directory, relative to the root, and its name.
type target struct{ dir, name string }

// targets finds every fuzz target, so that a new one is run without being listed.
func targets(t *testing.T) (all []target) {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != top && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declared.FindAllSubmatch(text, -1) {
			dir, _ := filepath.Rel(top, filepath.Dir(path))
			all = append(all, target{filepath.ToSlash(dir), string(found[1])})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestEveryTargetIsInTheTable checks that docs/guarantees.md names exactly the existing targets, each with its package.
func TestEveryTargetIsInTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "docs/guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 && strings.Contains(cells[1], "`Fuzz") {
			rows = append(rows, strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2]))
		}
	}
	for _, one := range targets(t) {
		want = append(want, fmt.Sprintf("`%s` %s", one.name, one.dir))
	}
	slices.Sort(rows)
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		t.Errorf("the table of docs/guarantees.md has\n%s\nand there are\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

// TestFuzz runs with FUZZ, the total time for all targets, as make fuzz does.
func TestFuzz(t *testing.T) {
	if os.Getenv("FUZZ") == "" {
		t.Log("make fuzz runs the targets; here only the table is checked")
		return
	}
	total, err := time.ParseDuration(os.Getenv("FUZZ"))
	if err != nil {
		t.Fatal(err)
	}
	all := targets(t)
	began, bin := time.Now(), t.TempDir()
	build(t, all, bin)
	cache := filepath.Join(strings.TrimSpace(string(run(t, "go", "env", "GOCACHE"))), "fuzz")
	share := (total / time.Duration(len(all))).Round(time.Millisecond)
	t.Logf("%d targets were built in %v and run for %v each", len(all), time.Since(began).Round(time.Second), share)
	for _, one := range all {
		t.Run(one.dir+"/"+one.name, func(t *testing.T) { one.fuzz(t, bin, cache, share) })
	}
}

// build builds one test binary for each package. Only our packages are instrumented: instrumenting everything that they import,
// as go test -fuzz does, would take many times as long and explore code that is not ours. What they import is
// compiled as the Makefile does, so it is there already.
func build(t *testing.T, all []target, bin string) {
	t.Helper()
	args := []string{"test", "-c", "-ldflags=-s -w", "-gcflags=all=-dwarf=false", "-gcflags=" + module + "/...=-d=libfuzzer -dwarf=false",
		"-o", bin + string(filepath.Separator)}
	for _, one := range all {
		args = append(args, "./"+one.dir)
	}
	run(t, "go", slices.Compact(args)...)
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = top
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &failed)
	}
	return out
}

var (
	// timeIsUp matches a failure for no other reason than that the time is over, with which Go's fuzzing sometimes ends.
	timeIsUp = regexp.MustCompile(`(?m)^ *--- FAIL: Fuzz\w+ \([0-9.]+s\)\n *context deadline exceeded$`)
	counted  = regexp.MustCompile(`execs: (\d+)`)
	kept     = regexp.MustCompile(`testdata/fuzz/(Fuzz\w+/\w+)`)
)

// fuzz runs a target. Inputs that extend coverage are kept where go test -fuzz keeps them, a failing one in the package's
// testdata.
func (one target) fuzz(t *testing.T, bin, cache string, share time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), share+grace)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, filepath.Base(one.dir)+".test"), "-test.run=^$", "-test.fuzz=^"+one.name+"$",
		"-test.fuzztime="+share.String(), "-test.fuzzminimizetime=1s", "-test.fuzzcachedir="+filepath.Join(cache, module, one.dir))
	cmd.Dir = filepath.Join(top, one.dir)
	out, err := cmd.CombinedOutput()
	if err == nil || timeIsUp.Match(out) {
		execs := counted.FindAllSubmatch(out, -1)
		if len(execs) == 0 {
			t.Fatalf("it ran nothing:\n%s", out)
		}
		t.Logf("%s inputs", execs[len(execs)-1][1])
		return
	}
	again := fmt.Sprintf("go test ./%s -run '^%s$'", one.dir, one.name) // a seed
	if input := kept.FindSubmatch(out); input != nil {
		again = fmt.Sprintf("go test ./%s -run '^%s$'", one.dir, strings.ReplaceAll(string(input[1]), "/", "$/^"))
		t.Logf("the input is in %s/%s", one.dir, kept.Find(out))
	}
	t.Errorf("%v\n%s\nrun it again: %s", err, out, again)
}
