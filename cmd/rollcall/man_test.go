package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestManPages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	if o := command(t, deps{}, nil, "man", dir); o.code != exitDone {
		t.Fatalf("exit %d: %s", o.code, o.errOut)
	}
	for page, want := range map[string]string{"rollcall.1": "Calls the roll", "rollcall-serve.1": "bootstrap-expect", "rollcall-cluster-remove.1": "permanently"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s: %v, and %q in it: %v", page, err, want, bytes.Contains(text, []byte(want)))
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	// Warnings are about style, such as the text's own title in place of a date.
	if out, err := exec.CommandContext(t.Context(), "mandoc", append([]string{"-Tlint", "-Werror"}, pages...)...).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
	if o := command(t, deps{}, nil, "man"); o.code != exitUsage {
		t.Errorf("without a directory: exit %d", o.code)
	}
}
