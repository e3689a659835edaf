package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// configurationIntro is the part of docs/configuration.md that no flag knows.
//
//go:embed configuration.intro.md
var configurationIntro string

func (a *app) genDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "gen-docs",
		Short:  "Print docs/configuration.md, made from the flags",
		Hidden: true,
		Args:   noArgs,
		RunE:   func(*cobra.Command, []string) error { return writeDocs(a.stdout) },
	}
}

// writeDocs prints docs/configuration.md.
func writeDocs(w io.Writer) error {
	var b strings.Builder
	b.WriteString(configurationIntro)
	group := ""
	for _, s := range settings() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&b, "\n## %s\n\n| flag | environment | default | meaning |\n|---|---|---|---|\n", group)
		}
		def := "–"
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		fmt.Fprintf(&b, "| `--%s` %s | `%s` | %s | %s |\n", s.name,
			cell(s.kind), strings.Join(s.env, "`<br>`"), def, cell(s.help))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print the documentation: %w", err)
	}
	return nil
}

// cell escapes what would end a table's cell or become markup.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "_", `\_`, "*", `\*`).Replace(s)
}
