package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletions lets each shell read its script, and bash complete with it.
func TestCompletions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for shell, args := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		o := command(t, deps{}, nil, "completion", shell)
		file := filepath.Join(dir, shell)
		if err := os.WriteFile(file, []byte(o.out), 0o600); err != nil || o.code != exitDone {
			t.Fatalf("%s: exit %d, %v", shell, o.code, err)
		}
		if out, err := exec.CommandContext(t.Context(), shell, append(args, file)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s does not read its completion: %v\n%s", shell, err, out)
		}
		if !strings.Contains(o.out, "rollcall") {
			t.Errorf("%s: the completion is not for rollcall", shell)
		}
	}
	// What the scripts ask the program for.
	if o := command(t, deps{}, nil, "__complete", "cl"); !strings.Contains(o.out, "cluster\t") || !strings.Contains(o.out, "cleanup\t") || strings.Contains(o.out, "status\t") {
		t.Errorf("cl completes to %q", o.out)
	}
}
