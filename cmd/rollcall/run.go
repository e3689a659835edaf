package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/daemon"
)

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitRemoved is that of a node that an operator has removed. Started again, it would join again.
	exitRemoved = 3
)

// run runs one command line. The process's environment and output are parameters, so that a test can run any command without
// a process.
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
	// Before a command has started, every error is a usage error.
	hint := fmt.Sprintf("see: %s --help", strings.TrimSuffix(cmd.CommandPath(), " help"))
	text := err.Error()
	if unknown, near, ok := strings.Cut(text, "\n\nDid you mean this?\n"); ok {
		text = unknown + ": " + didYouMean(strings.Fields(near))
	}
	return &config.UsageError{Lines: append(strings.Split(strings.TrimSpace(text), "\n"), hint)}
}

// report prints an error as lines and returns its exit code.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			fmt.Fprintln(stderr, "rollcall: "+line)
		}
	}
	if _, ok := errors.AsType[*config.UsageError](err); ok {
		return exitUsage
	}
	if errors.Is(err, daemon.ErrRemoved) {
		return exitRemoved
	}
	return exitFailed
}
