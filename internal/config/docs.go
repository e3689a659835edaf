package config

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
)

// configurationIntro is the part of docs/configuration.md that does not come from flags.
//
//go:embed configuration.intro.md
var configurationIntro string

// WriteDocs prints docs/configuration.md.
func WriteDocs(w io.Writer) error {
	var b strings.Builder
	b.WriteString(configurationIntro)
	group := ""
	for _, s := range settings() {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&b, "\n## %s\n\n| flag | environment | default | changed by | meaning |\n|---|---|---|---|---|\n", group)
		}
		def := "–"
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		fmt.Fprintf(&b, "| `--%s` %s | `%s` | %s | %s | %s |\n", s.name,
			cell(s.kind), strings.Join(s.env, "`<br>`"), def, ShownSetting{Reload: s.reload}.ChangedBy(), cell(s.help))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print the documentation: %w", err)
	}
	return nil
}

// cell escapes everything that would end a table cell or become markup.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "_", `\_`, "*", `\*`).Replace(s)
}
