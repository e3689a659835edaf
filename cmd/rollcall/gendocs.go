package main

import (
	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/internal/config"
)

func (a *app) genDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "gen-docs",
		Short:  "Print docs/configuration.md, made from the flags",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(*cobra.Command, []string) error { return config.WriteDocs(a.stdout) },
	}
}
