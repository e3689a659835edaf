package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// deps is what the commands need and do not make themselves: the wiring.
type deps struct {
	// Serve runs a node until ctx ends, and has drained when it returns.
	Serve func(ctx context.Context, c Config, stdout, stderr io.Writer) error
	// Dev runs a node with all it needs around it, for trying it out.
	Dev func(ctx context.Context, c Config, o DevOptions, stdout, stderr io.Writer) error
}

// DevOptions are the settings that only `rollcall dev` has.
type DevOptions struct {
	// LiveKitServer is the path of a livekit-server binary, used when no
	// LiveKit host is configured. Empty means: look for it on the PATH.
	LiveKitServer string
	// Participants is how many pretended participants come and go.
	Participants int
}

// app is one command line while it runs.
type app struct {
	deps           deps
	environ        []string
	stdout, stderr io.Writer
	colours        palette // of stdout
	// started is set once a command's flags and arguments have been accepted:
	// what fails after that is a failure, not a wrong use.
	started bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rollcall",
		Short: "Calls the roll in every LiveKit room and keeps the answer in Redis",
		Long: `rollcall keeps who is in which LiveKit room in Redis: from LiveKit's webhooks at
once, and from a sync that repairs what the webhooks missed.

Try it:      rollcall dev
Run a node:  rollcall serve
Look at it:  rollcall status`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(
		&cobra.Group{ID: groupNode, Title: "A node:"},
		&cobra.Group{ID: groupClient, Title: "Ask a running node:"},
	)
	root.AddCommand(a.nodeCommands()...)
	root.AddCommand(a.clientCommands()...)
	root.AddCommand(a.versionCommand(), a.manCommand(), a.genDocsCommand())
	root.SetOut(a.stdout) // completion remembers where, so it comes first
	root.SetErr(a.stderr)
	root.InitDefaultCompletionCmd()
	a.mark(root.Commands())
	return root
}

// mark lets every command note that it has started.
func (a *app) mark(commands []*cobra.Command) {
	for _, cmd := range commands {
		a.mark(cmd.Commands())
		run := cmd.RunE
		if run == nil {
			// completion without a shell: cobra would show help for a shell that
			// it does not know, and succeed.
			run = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.started = true
			return run(cmd, args)
		}
	}
}

// The headings under which the help lists the commands.
const (
	groupNode   = "node"
	groupClient = "client"
)

func (a *app) nodeCommands() []*cobra.Command {
	return []*cobra.Command{a.serveCommand(), a.devCommand(), a.checkConfigCommand(), a.certCommand()}
}

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: groupNode,
		Short:   "Run a node",
		Long: `Run a node until SIGINT or SIGTERM. The same command line starts it the first time
and every time after. Each flag can also be given as ROLLCALL_<FLAG> in the
environment or as a line "flag: value" in the file of --config.`,
		Args: noArgs,
	}
	addSettingFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(cmd.Flags(), a.environ, forServe)
		if err != nil {
			return err
		}
		loaded.warn(a.stderr)
		return a.deps.Serve(cmd.Context(), loaded.Config, a.stdout, a.stderr)
	}
	return cmd
}

func (a *app) devCommand() *cobra.Command {
	var o DevOptions
	cmd := &cobra.Command{
		Use:     "dev",
		GroupID: groupNode,
		Short:   "Try it out: a node with a LiveKit, a Redis and participants around it",
		Long: `Start a node together with a real livekit-server, an embedded Redis and a few
participants who come and go, and show the roster changing, until Ctrl-C. With
LIVEKIT_HOST (and its key and secret) or REDIS_URL set, those are used instead.`,
		Args: noArgs,
	}
	addSettingFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.LiveKitServer, "livekit-server", "", "`path` of the livekit-server binary (default: the one on the PATH)")
	cmd.Flags().IntVar(&o.Participants, "participants", 4, "how many participants come and go")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Participants < 0 || o.Participants > 100 {
			return &usageError{lines: []string{"--participants: give a number from 0 to 100"}}
		}
		loaded, err := load(cmd.Flags(), a.environ, forDev)
		if err != nil {
			return err
		}
		if !loaded.Config.alone() {
			return &usageError{lines: []string{"dev runs one node: leave --bootstrap-expect, --join, --node-addr and --node-advertise out. `make cluster` runs three"}}
		}
		loaded.warn(a.stderr)
		return a.deps.Dev(cmd.Context(), loaded.Config, o, a.stdout, a.stderr)
	}
	return cmd
}

// noArgs refuses arguments without repeating them: one may be a secret that
// slipped from its flag.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("it takes no arguments, but %d stood there (not shown): write values as --flag=value", len(args))
	}
	return nil
}

// exactName accepts the one argument that names a room; any text is a name.
func exactName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("give one room name (in quotes if it holds spaces)")
	}
	return nil
}
