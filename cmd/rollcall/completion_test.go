package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCompletions has each shell read its script.
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
	// The requests that the scripts send to the program.
	if o := command(t, deps{}, nil, "__complete", "cl"); !strings.Contains(o.out, "cluster\t") || !strings.Contains(o.out, "cleanup\t") || strings.Contains(o.out, "status\t") {
		t.Errorf("cl completes to %q", o.out)
	}
}

// TestCompletionOfNames has bash and fish complete the names of rooms and nodes, which they get from a node.
func TestCompletionOfNames(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{
		"GET /api/rooms?limit=201":             `{"rooms":[{"roomName":"room-1"},{"roomName":"room 2"},{"roomName":"line\nend"}]}`,
		"GET /api/rooms?limit=500&search=room": `{"rooms":[{"roomName":"room-1"},{"roomName":"room 2"},{"roomName":"a room"}]}`,
		"GET /api/cluster":                     clusterAnswer,
	})
	dir := t.TempDir()
	if err := os.Symlink(os.Args[0], filepath.Join(dir, "rollcall")); err != nil { // TestMain runs it as rollcall by that name
		t.Fatal(err)
	}
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "ROLLCALL_ADDR="+n.URL, "ROLLCALL_TOKEN="+testToken, "GORACE=atexit_sleep_ms=0")
	scripts := map[string]string{
		"bash": `_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; } # of the package bash-completion
source <(rollcall completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$*; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
__start_rollcall; printf '%s\n' "${COMPREPLY[@]}"`,
		"fish": `rollcall completion fish | source; complete -C "$argv"`,
	}
	for line, want := range map[string]string{
		"rollcall room room":           "room 2|room-1",
		"rollcall watch --room room":   "room 2|room-1",
		"rollcall drift --room room":   "room 2|room-1",
		"rollcall cluster remove n":    "n1|n2|n3|n4",
		"rollcall room room-1 room":    "",
		"rollcall status s":            "",
		"rollcall --addr x room room-": "",
	} {
		for shell, script := range scripts {
			args := append([]string{"-c", script}, strings.Fields(line)...)
			if shell == "bash" {
				args = append([]string{"-c", script, "bash"}, strings.Fields(line)...)
			}
			cmd := exec.CommandContext(t.Context(), shell, args...)
			cmd.Dir, cmd.Env = dir, environ
			out, err := cmd.Output()
			lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), `\ `, " ")), "\n")
			slices.Sort(lines)
			if got := strings.Join(lines, "|"); err != nil || got != want {
				t.Errorf("%s completes %q to %q (%v), want %q", shell, line, got, err, want)
			}
		}
	}
	if o := command(t, deps{}, nil, "__complete", "serve", ""); !strings.HasSuffix(o.out, ":4\n") {
		t.Errorf("serve completes files: %q", o.out)
	}
	if o := n.command(t, "__complete", "room", ""); !strings.HasPrefix(o.out, "room-1\nroom 2\n:4") {
		t.Errorf("all rooms: %q", o.out)
	}
}
