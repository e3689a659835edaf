package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/internal/config"
)

// checkedConfig is what check-config --json prints.
type checkedConfig struct {
	OK       bool                  `json:"ok"`
	Settings []config.ShownSetting `json:"settings,omitempty"`
	Warnings []string              `json:"warnings,omitempty"`
	Errors   []string              `json:"errors,omitempty"`
}

func (a *app) checkConfigCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:     "check-config",
		GroupID: groupNode,
		Short:   "Check the configuration of serve and show where each value comes from",
		Long: `Read flags, environment and file as "rollcall serve" does, and start nothing. Shows
the values that differ from the defaults, with secrets redacted, the source of each, and
whether a reload changes it; with --all or --json, every value. Problems are listed one a line, with exit code 2.`,
		Args: noArgs,
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&all, "all", false, "show every value, also the defaults")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := config.Load(cmd.Flags(), a.environ, config.ForServe)
		if asJSON {
			return errors.Join(printJSON(a.stdout, checked(loaded, err)), err)
		}
		loaded.WriteWarnings(a.stderr)
		if err != nil {
			return err
		}
		return a.printSettings(loaded, all)
	}
	return cmd
}

func checked(loaded config.Loaded, err error) checkedConfig {
	if usage, ok := errors.AsType[*config.UsageError](err); ok {
		return checkedConfig{Warnings: loaded.Warnings, Errors: usage.Lines}
	}
	return checkedConfig{OK: true, Settings: loaded.Settings(), Warnings: loaded.Warnings}
}

func (a *app) printSettings(loaded config.Loaded, all bool) error {
	rows, defaults := [][]string{{"SETTING", "VALUE", "SOURCE", "CHANGED BY"}}, 0
	for _, s := range loaded.Settings() {
		if s.IsDefault && !all {
			defaults++
			continue
		}
		rows = append(rows, []string{s.Name, cmp.Or(s.Value, "-"), s.Source, s.ChangedBy()})
	}
	if err := a.table(rows); err != nil {
		return err
	}
	end := "\n"
	if defaults > 0 {
		end = fmt.Sprintf("\n%s at the default: --all shows them too.\n", count(defaults, "more setting"))
	}
	_, err := fmt.Fprintln(a.stdout, end+"The configuration is valid.")
	return err
}
