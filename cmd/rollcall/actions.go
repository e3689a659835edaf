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
	cmd.Flags().BoolVar(&o.Force, "force", false, "let removals go that are held because they are so many")
	return o
}

func (a *app) syncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Compare every room with LiveKit now",
		Args:  noArgs,
	}
	o := actionFlags(cmd)
	return a.asking(cmd, cycleTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			answer, err := waiting(ctx, a, c, func() (client.SyncAnswer, error) { return c.Sync(ctx, *o) })
			if err != nil {
				return err
			}
			err = a.answer(asJSON, answer, a.resultText(answer.Result)+heldText(answer.Held), o.DryRun, answer.WouldChange)
			return failures(err, answer.Result.Errors, answer.FirstError)
		}
	})
}

func (a *app) cleanupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "Remove what the sync leaves behind, now",
		Args:  noArgs,
	}
	o := actionFlags(cmd)
	return a.asking(cmd, cycleTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			answer, err := waiting(ctx, a, c, func() (client.CleanupAnswer, error) { return c.Cleanup(ctx, *o) })
			if err != nil {
				return err
			}
			text := fmt.Sprintf("Cleaned up: %s removed.\n", count(answer.Cleaned, "room"))
			err = a.answer(asJSON, answer, text+heldText(answer.Held), o.DryRun, answer.WouldChange)
			return failures(err, 0, answer.FirstError)
		}
	})
}

func (a *app) fullSyncCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "full-sync",
		Short: "A new sync, then a cleanup, now",
		Args:  noArgs,
	}
	o := actionFlags(cmd)
	return a.asking(cmd, cycleTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			answer, err := waiting(ctx, a, c, func() (client.FullSyncAnswer, error) { return c.FullSync(ctx, *o) })
			if err != nil {
				return err
			}
			text := a.resultText(answer.Sync) + fmt.Sprintf("Cleaned up: %s removed.\n", count(answer.Cleanup, "room")) + heldText(answer.Held)
			err = a.answer(asJSON, answer, text, o.DryRun, answer.WouldChange)
			return failures(err, answer.Sync.Errors, answer.FirstError)
		}
	})
}

// waiting waits for a cycle and shows how far it is.
func waiting[A any](ctx context.Context, a *app, c *client.Client, run func() (A, error)) (answer A, err error) {
	err = a.withProgress(ctx, c, func() error {
		var err error
		answer, err = run()
		return err
	})
	return answer, err
}

func (a *app) startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Switch the cluster's sync service on",
		Args:  noArgs,
	}
	return a.switching(cmd, (*client.Client).StartService)
}

func (a *app) stopCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Switch the cluster's sync service off; webhooks go on",
		Args:  noArgs,
	}
	return a.switching(cmd, (*client.Client).StopService)
}

func (a *app) switching(cmd *cobra.Command, do func(*client.Client, context.Context) (client.ServiceAnswer, error)) *cobra.Command {
	return a.asking(cmd, readTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			answer, err := do(c, ctx)
			if err != nil {
				return err
			}
			text := "The sync service is stopped, on every node and over restarts. Webhooks are still served. Start it again: rollcall start\n"
			if answer.Running {
				text = "The sync service is running.\n"
			}
			return a.answer(asJSON, answer, text, false, nil)
		}
	})
}

// answer prints an answer: as JSON, as text, or as what a dry run would change.
func (a *app) answer(asJSON bool, answer any, text string, dryRun bool, would []client.WouldChange) error {
	if asJSON {
		return printJSON(a.stdout, answer)
	}
	if _, err := io.WriteString(a.stdout, text); err != nil || !dryRun {
		return err
	}
	if len(would) == 0 {
		_, err := fmt.Fprintln(a.stdout, "Dry run: nothing would change.")
		return err
	}
	fmt.Fprintf(a.stdout, "Dry run: nothing was changed. %s would be made:\n\n", count(len(would), "change"))
	rows := [][]string{{"ROOM", "CHANGE", "IDENTITY", "SID", "REASON"}}
	for _, w := range would {
		rows = append(rows, []string{safe(w.Room), orDash(w.Change), orDash(w.Identity), orDash(w.SID), orDash(w.Reason)})
	}
	return a.table(rows, inked{1, changeInk})
}

func (a *app) resultText(r client.Result) string {
	return fmt.Sprintf("Synced: %s, %d removed%s.\n", examined(r.Synced), r.Cleaned, a.colours.errorsText(r.Errors))
}

// heldText says what the breaker keeps from being removed, and what to do about it.
func heldText(h *client.Held) string {
	if h == nil {
		return ""
	}
	return fmt.Sprintf("Held: %s and %s are gone from LiveKit, so many at once that they are kept until 3 scheduled syncs agree. "+
		"If they are gone for good: rollcall sync --force\n", count(h.Rooms, "room"), count(h.Participants, "participant"))
}

// failures makes a run with errors fail, so that a script notices. Those of a cleanup are not counted.
func failures(err error, failed int, first string) error {
	switch {
	case err != nil || failed == 0 && first == "":
		return err
	case failed == 0:
		return fmt.Errorf("not all could be cleaned up, the next cleanup tries again (%s)", safe(first))
	case first == "":
		first = "the nodes' logs say why"
	}
	return fmt.Errorf("%s could not be examined; what Redis holds of them is unchanged and the next sync tries again (%s)",
		count(failed, "room"), safe(first))
}
