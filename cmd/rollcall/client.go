package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/internal/config"
)

const (
	defaultAddr = "http://127.0.0.1:8080"
	// readTimeout limits commands that only read.
	readTimeout = 30 * time.Second
	// cycleTimeout limits commands that wait for a whole cycle: LiveKit Cloud's budget stretches a cycle over some thousand
	// rooms to minutes.
	cycleTimeout = 10 * time.Minute
	// noTimeout is for commands that run until they are interrupted.
	noTimeout = 0
)

// clientFlags are the flags of every client command.
type clientFlags struct {
	addr, token string
	tokenFile   string // where the token is from, if it is from a file
	timeout     time.Duration
	json        bool
}

// ask is the body of a client command: it sends requests to the node and prints.
type ask func(ctx context.Context, c *client.Client, args []string, asJSON bool) error

func (a *app) clientCommands() []*cobra.Command {
	return append(a.asksFirst(a.syncCommand(), a.cleanupCommand(), a.fullSyncCommand(), a.stopCommand()),
		a.statusCommand(), a.startCommand(), a.roomsCommand(), a.roomCommand(), a.watchCommand(), a.driftCommand(),
		a.clusterCommand(), a.reloadCommand(), a.readyCommand())
}

// asking turns cmd into a client command.
func (a *app) asking(cmd *cobra.Command, timeout time.Duration, do ask) *cobra.Command {
	f := &clientFlags{}
	cmd.GroupID = groupClient
	flags := cmd.Flags()
	flags.StringVar(&f.addr, "addr", defaultAddr, "`URL` of a node (ROLLCALL_ADDR)")
	flags.StringVar(&f.token, "token", "", "the admin token or a LiveKit access token (ROLLCALL_TOKEN, ROLLCALL_ADMIN_TOKEN, ROLLCALL_ADMIN_TOKEN_FILE)")
	if timeout != noTimeout {
		flags.DurationVar(&f.timeout, "timeout", timeout, "how long to wait (ROLLCALL_TIMEOUT)")
	}
	flags.BoolVar(&f.json, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.dial(cmd, f)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		if timeout != noTimeout {
			bounded, cancel := context.WithTimeout(ctx, f.timeout)
			defer cancel()
			ctx = bounded
		}
		if err := do(ctx, c, args, f.json); err != nil {
			return explain(err, c.Base(), *f, cmd.Context())
		}
		return nil
	}
	a.complete(cmd, f)
	return cmd
}

// dial returns a client of the node that flags and environment name. It sends nothing.
func (a *app) dial(cmd *cobra.Command, f *clientFlags) (*client.Client, error) {
	if err := f.fromEnvironment(cmd, a.environ); err != nil {
		return nil, err
	}
	c, err := client.New(f.addr, client.WithToken(f.token))
	if err != nil {
		return nil, &config.UsageError{Lines: []string{fmt.Sprintf("--addr, %s: %v", config.EnvName("addr"), err)}}
	}
	return c, nil
}

// readToken takes the admin token from its file, unless a token is given.
func (f *clientFlags) readToken(vars map[string]string) (err error) {
	f.tokenFile, err = config.ReadAdminToken(vars, &f.token)
	return err
}

// fromEnvironment sets the flags that the command line left out.
func (f *clientFlags) fromEnvironment(cmd *cobra.Command, environ []string) error {
	vars := config.Environment(environ)
	take := func(flag string, names ...string) error {
		if f := cmd.Flags().Lookup(flag); f == nil || f.Changed {
			return nil
		}
		for _, name := range names {
			if v, ok := vars[name]; ok {
				if err := cmd.Flags().Set(flag, v); err != nil {
					return &config.UsageError{Lines: []string{fmt.Sprintf("--%s, %s: %q will not do: give a duration such as 30s", flag, name, v)}}
				}
				return nil
			}
		}
		return nil
	}
	for _, err := range []error{
		take("addr", config.EnvName("addr")),
		take("token", config.EnvName("token"), config.EnvName("admin-token")), f.readToken(vars),
		take("timeout", config.EnvName("timeout")),
	} {
		if err != nil {
			return err
		}
	}
	if f.timeout <= 0 && cmd.Flags().Lookup("timeout") != nil {
		return &config.UsageError{Lines: []string{fmt.Sprintf("--timeout, %s: %s will not do: give a duration above 0, such as 30s", config.EnvName("timeout"), f.timeout)}}
	}
	if config.HasControlOrSpace(f.token) {
		return &config.UsageError{Lines: []string{fmt.Sprintf("--token, %s: the value (not shown) holds a space or line end: give it without", config.EnvName("token"))}}
	}
	return nil
}
