package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand returns the command that writes a page for each command. The pages have no date, so that those of one version
// are identical.
func (a *app) manCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into a directory",
		Long: `Write a manual page for each command into a directory, such as
/usr/local/share/man/man1.`,
		Args: func(cmd *cobra.Command, args []string) error {
			return oneWord(cmd, args, "give the one directory, such as /usr/local/share/man/man1")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("make the directory: %w", err)
			}
			epoch := time.Unix(0, 0).UTC()
			header := &doc.GenManHeader{Section: "1", Source: "rollcall", Manual: "rollcall", Date: &epoch}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("write the manual pages: %w", err)
			}
			if asJSON {
				return printJSON(a.stdout, struct {
					Dir string `json:"dir"`
				}{args[0]})
			}
			_, err := fmt.Fprintf(a.stdout, "The manual pages are in %s: man -l %s/rollcall.1\n", args[0], args[0])
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
