package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/demo"
)

// deps holds the functions that the commands need and that tests replace.
type deps struct {
	// Serve runs a node until ctx ends, and returns after the node has drained. read reads the configuration again.
	Serve func(ctx context.Context, c config.Config, read func() (config.Loaded, error), stderr io.Writer) error
	// Dev runs a node with everything around it that it needs, to try it out.
	Dev func(ctx context.Context, c config.Config, o DevOptions, stdout, stderr io.Writer) error
	// Terminal is where somebody can answer a question; nil if nobody can.
	Terminal io.Reader
}

// DevOptions are the settings that only `rollcall dev` has.
type DevOptions struct {
	// LiveKitServer is the path of a livekit-server binary, used when no
	// LiveKit host is configured. Empty means: look for it beside rollcall's own binary, then on the PATH.
	LiveKitServer string
	// Participants is how many simulated participants come and go.
	Participants int
	// Choice says why a LiveKit or Redis of the user's is used.
	Choice demo.Choice
}

// app is one running command line.
type app struct {
	deps           deps
	environ        []string
	stdout, stderr io.Writer
	colours        palette // of stdout
	// started is set once a command's flags and arguments have been accepted: an error after that is a failure, not a usage
	// error.
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
		Version:       buildVersion().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "say which build this is")
	root.AddGroup(
		&cobra.Group{ID: groupNode, Title: "A node:"},
		&cobra.Group{ID: groupClient, Title: "Ask a running node:"},
	)
	root.AddCommand(a.nodeCommands()...)
	root.AddCommand(a.clientCommands()...)
	root.AddCommand(a.versionCommand(), a.manCommand(), a.genDocsCommand())
	root.SetOut(a.stdout) // completion keeps the writer, so it must be set before
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(nearFlag)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = knownCommand
	}
	plainHelp(root)
	a.mark(root.Commands())
	return root
}

// plainBool is a value without pflag's IsBoolFlag, for which the help would say --json[=true|false].
type plainBool struct{ pflag.Value }

func plainHelp(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			f.Value = plainBool{f.Value}
		}
	})
}

// mark makes every command record that it has started, and completes what is the same for all.
func (a *app) mark(commands []*cobra.Command) {
	for _, cmd := range commands {
		a.mark(cmd.Commands())
		plainHelp(cmd)
		if !strings.Contains(cmd.Use, " ") && cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		run := cmd.RunE
		if run == nil && cmd.Run != nil { // help
			continue
		}
		if run == nil {
			// This is completion without a shell: cobra would show help for a shell that it does not know, and succeed.
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
and every time after. At SIGHUP it reads its configuration again. Each flag can also be given as ROLLCALL_<FLAG> in the
environment or as a line "flag: value" in the file of --config.`,
		Args: noArgs,
	}
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		read := func() (config.Loaded, error) { return config.Load(cmd.Flags(), a.environ, config.ForServe) }
		loaded, err := read()
		if err != nil {
			return err
		}
		loaded.WriteWarnings(a.stderr)
		return a.deps.Serve(cmd.Context(), loaded.Config, read, a.stderr)
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
LIVEKIT_HOST or LIVEKIT_URL (and key and secret) or REDIS_URL set, those are used instead;
then no participants are made up unless --participants asks for them. With a key and
secret alone, its own LiveKit has that key.`,
		Args: noArgs,
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.LiveKitServer, "livekit-server", "", "`path` of the livekit-server binary (default: the one beside rollcall's own binary, or else on the PATH)")
	cmd.Flags().IntVar(&o.Participants, "participants", 4, "how many participants come and go; without this flag, none in a LiveKit that dev did not start")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Participants < 0 || o.Participants > 100 {
			return &config.UsageError{Lines: []string{"--participants: give a number from 0 to 100"}}
		}
		loaded, err := config.Load(cmd.Flags(), a.environ, config.ForDev)
		if err != nil {
			return err
		}
		if !loaded.Config.Alone() {
			return &config.UsageError{Lines: []string{"dev runs one node: leave --bootstrap-expect, --join, --node-addr and --node-advertise out. `make cluster` runs three"}}
		}
		if loaded.Config.LiveKit.Host != "" && !cmd.Flags().Changed("participants") {
			o.Participants = 0
		}
		o.Choice = demo.Choice{LiveKit: loaded.Sources["livekit-host"], Redis: loaded.Sources["redis-url"]}
		loaded.WriteWarnings(a.stderr)
		return a.deps.Dev(cmd.Context(), loaded.Config, o, a.stdout, a.stderr)
	}
	return cmd
}
