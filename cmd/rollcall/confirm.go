package main

import (
	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/internal/confirm"
)

// asksFirst makes commands ask on a terminal before they stop something or remove much. --yes answers.
func (a *app) asksFirst(commands ...*cobra.Command) []*cobra.Command {
	for _, cmd := range commands {
		yes, run := cmd.Flags().Bool("yes", false, "do not ask first; without a terminal nothing is asked"), cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if text := question(cmd); text != "" && !*yes && a.deps.Terminal != nil {
				if err := confirm.Ask(cmd.Context(), a.deps.Terminal, a.stderr, text); err != nil {
					return err
				}
			}
			return run(cmd, args)
		}
	}
	return commands
}

// question returns what to ask before a command, or "".
func question(cmd *cobra.Command) string {
	force, _ := cmd.Flags().GetBool("force") // false for a command without the flag
	dry, _ := cmd.Flags().GetBool("dry-run")
	switch {
	case cmd.Name() == "stop":
		return "Stop the schedule of the whole cluster? What webhooks miss is then not repaired until it is started again."
	case force && !dry:
		return "Remove from Redis what LiveKit does not show, even if that is nearly everything? (--dry-run --force lists it)"
	}
	return ""
}
