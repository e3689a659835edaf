package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError says that a command was used wrongly: each line is one problem.
// It makes the exit code 2.
type usageError struct {
	lines []string
}

func (e *usageError) Error() string { return strings.Join(e.lines, "\n") }

// wrong is a usageError of one line.
func wrong(format string, args ...any) error {
	return &usageError{lines: []string{fmt.Sprintf(format, args...)}}
}

// run carries out one command line. The process's surroundings are parameters,
// so that a test can run any command without a process.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	return runWith(ctx, wired(), args, environ, stdout, stderr)
}

func runWith(ctx context.Context, d deps, args, environ []string, stdout, stderr io.Writer) error {
	a := &app{deps: d, environ: environ, stdout: stdout, stderr: stderr, colours: paletteFor(stdout, environ)}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil || a.started {
		return err
	}
	// Before a command has started, only its use can have been wrong.
	hint := fmt.Sprintf("see: %s --help", cmd.CommandPath())
	return &usageError{lines: append(strings.Split(strings.TrimSpace(err.Error()), "\n"), hint)}
}

// report prints an error as lines and returns the exit code that it means.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			fmt.Fprintln(stderr, "rollcall: "+line)
		}
	}
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
