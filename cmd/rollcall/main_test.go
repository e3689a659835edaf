package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rollcall": func() { os.Exit(realMain()) },
	})
}

// TestScripts runs the real command line, in a process of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			// Under the race detector every process would wait for a second before it exits.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}

// golden compares got with testdata/name, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got; go test -update rewrites it):\n%s", path, diff)
	}
}

// outcome is the result of a command line.
type outcome struct {
	code        int
	out, errOut string
}

// command runs a command line in this process.
func command(t *testing.T, d deps, environ []string, args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	err := runWith(t.Context(), d, args, environ, &out, &errOut)
	code := report(&errOut, err)
	return outcome{code, out.String(), errOut.String()}
}

func TestDocsAreCurrent(t *testing.T) {
	got := command(t, deps{}, nil, "gen-docs")
	want, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.out); diff != "" {
		t.Errorf("docs/configuration.md is old: go run ./cmd/rollcall gen-docs > docs/configuration.md\n%s", diff)
	}
	for _, f := range serveFlags(t) {
		if !strings.Contains(got.out, "`--"+f.Name+"`") {
			t.Errorf("--%s is not documented", f.Name)
		}
	}
}
