package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// shownSetting is one line of check-config.
type shownSetting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// checkedConfig is what check-config --json prints.
type checkedConfig struct {
	OK       bool           `json:"ok"`
	Settings []shownSetting `json:"settings,omitempty"`
	Warnings []string       `json:"warnings,omitempty"`
	Errors   []string       `json:"errors,omitempty"`
}

func (a *app) checkConfigCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check-config",
		GroupID: groupNode,
		Short:   "Check the configuration of serve and show where each value comes from",
		Long: `Read flags, environment and file as "rollcall serve" does, and start nothing. Shows
the effective values, with secrets redacted, and the source of each. Problems are
listed one a line, with exit code 2.`,
		Args: noArgs,
	}
	addSettingFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := load(cmd.Flags(), a.environ, forServe)
		if asJSON {
			return errors.Join(printJSON(a.stdout, checked(loaded, err)), err)
		}
		loaded.warn(a.stderr)
		if err != nil {
			return err
		}
		rows := [][]string{{"SETTING", "VALUE", "SOURCE"}}
		for _, s := range show(loaded) {
			value := s.Value
			if value == "" {
				value = "-"
			}
			rows = append(rows, []string{s.Name, value, s.Source})
		}
		if err := a.table(rows); err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.stdout, "\nThe configuration is right.")
		return err
	}
	return cmd
}

func checked(loaded Loaded, err error) checkedConfig {
	var usage *usageError
	if errors.As(err, &usage) {
		return checkedConfig{Warnings: loaded.Warnings, Errors: usage.lines}
	}
	return checkedConfig{OK: true, Settings: show(loaded), Warnings: loaded.Warnings}
}

// show lists the effective values, secrets redacted.
func show(loaded Loaded) []shownSetting {
	var list []shownSetting
	for _, s := range settings() {
		value := s.show(&loaded.Config)
		if !s.secret { // which show themselves without their secret part
			value = hideURLUser(value, value)
		}
		list = append(list, shownSetting{s.name, value, loaded.Sources[s.name]})
	}
	return list
}
