package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

func actionFlags(cmd *cobra.Command) *client.ActionOptions {
	o := &client.ActionOptions{}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "change nothing, list what would change")
	cmd.Flags().BoolVar(&o.Force, "force", false, "do the removals that are held back because they are so many")
	return o
}

func (a *app) syncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync [ROOM]",
		Short: "Compare every room with LiveKit now, or only the one that is named",
		Args:  anyRoom,
	}
	o := actionFlags(cmd)
	return a.asking(cmd, cycleTimeout, func(ctx context.Context, c *client.Client, args []string, asJSON bool) error {
		answer, err := waiting(ctx, a, c, func() (client.SyncAnswer, error) {
			if len(args) > 0 {
				return c.SyncRoom(ctx, args[0], *o)
			}
			return c.Sync(ctx, *o)
		})
		if err != nil {
			return err
		}
		err = a.answer(asJSON, answer, answer.Text(*o, a.colours.alarm), *o, answer.WouldChange, answer.FirstError)
		return failures(err, answer.Result.Errors, answer.FirstError, answer.Trouble())
	})
}

func (a *app) cleanupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "Remove what the sync leaves behind, now",
		Args:  noArgs,
	}
	o := actionFlags(cmd)
	return a.asking(cmd, cycleTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		answer, err := waiting(ctx, a, c, func() (client.CleanupAnswer, error) { return c.Cleanup(ctx, *o) })
		if err != nil {
			return err
		}
		err = a.answer(asJSON, answer, answer.Text(*o, a.colours.alarm), *o, answer.WouldChange, answer.FirstError)
		return failures(err, 0, answer.FirstError, answer.Trouble())
	})
}

func (a *app) fullSyncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "full-sync",
		Short: "A new sync, then a cleanup, now",
		Args:  noArgs,
	}
	o := actionFlags(cmd)
	return a.asking(cmd, cycleTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		answer, err := waiting(ctx, a, c, func() (client.FullSyncAnswer, error) { return c.FullSync(ctx, *o) })
		if err != nil {
			return err
		}
		err = a.answer(asJSON, answer, answer.Text(*o, a.colours.alarm), *o, answer.WouldChange, answer.FirstError)
		return failures(err, answer.Sync.Errors, answer.FirstError, answer.Trouble())
	})
}

// waiting runs a cycle and shows its progress.
func waiting[A any](ctx context.Context, a *app, c *client.Client, run func() (A, error)) (answer A, err error) {
	err = a.withProgress(ctx, c, func() error {
		var err error
		answer, err = run()
		return err
	})
	return answer, err
}

func (a *app) startCommand() *cobra.Command {
	return a.switching("start", "Start the schedule of syncs and cleanups, for the whole cluster", (*client.Client).StartService)
}

func (a *app) stopCommand() *cobra.Command {
	return a.switching("stop", "Stop the schedule of syncs and cleanups, for the whole cluster; webhooks go on", (*client.Client).StopService)
}

func (a *app) switching(use, short string, do func(*client.Client, context.Context) (client.ServiceAnswer, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noArgs}
	return a.asking(cmd, readTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		answer, err := do(c, ctx)
		if err != nil {
			return err
		}
		text := "The schedule is stopped, on every node and over restarts. Nothing changes for webhooks, but what they miss is not repaired. Start it again: rollcall start\n"
		if answer.Running {
			text = "The schedule is running.\n"
		}
		return a.answer(asJSON, answer, text, client.ActionOptions{}, nil, "")
	})
}

func (a *app) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the node at --addr read its configuration again, as SIGHUP does",
		Args:  noArgs,
	}
	return a.asking(cmd, readTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		answer, err := c.Reload(ctx)
		if err != nil {
			return err
		}
		return a.answer(asJSON, answer, answer.Text(safe), client.ActionOptions{}, nil, "")
	})
}

// answer prints an answer as JSON or as text, and for a dry run lists what would change. first is the first error, empty for none.
func (a *app) answer(asJSON bool, answer any, text string, o client.ActionOptions, would []client.WouldChange, first string) error {
	if asJSON {
		return printJSON(a.stdout, answer)
	}
	if _, err := io.WriteString(a.stdout, text); err != nil || !o.DryRun || first != "" && len(would) == 0 {
		return err
	}
	if len(would) == 0 {
		_, err := fmt.Fprintln(a.stdout, "Nothing would change.")
		return err
	}
	fmt.Fprintf(a.stdout, "%s would be made:\n\n", count(len(would), "change"))
	rows := [][]string{{"ROOM", "CHANGE", "IDENTITY", "SID", "REASON"}}
	for _, w := range would {
		rows = append(rows, []string{safe(w.Room), orDash(w.Change), orDash(w.Identity), orDash(w.SID), orDash(w.Reason)})
	}
	return a.table(rows, colored{1, changeColor})
}

// failures makes a command with errors fail, so that a script notices. The errors of a cleanup are not counted.
func failures(err error, failed int, first string, t *client.Trouble) error {
	first = sentence(clip(first, 300))
	switch {
	case err == nil && t != nil:
		return fmt.Errorf("%s: %s (%s)", t, t.Todo, first)
	case err != nil || failed == 0 && first == "":
		return err
	case failed == 0:
		return fmt.Errorf("not all could be cleaned up, the next cleanup tries again (%s)", first)
	case first == "":
		first = "the nodes' logs say why"
	}
	return fmt.Errorf("%s; what could not be compared is unchanged in Redis, and the next sync tries again (%s)", count(failed, "error"), first)
}
