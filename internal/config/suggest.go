package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// suggestion says which known name an unknown one may have meant.
func suggestion[V any](unknown string, known map[string]V) string {
	plain := strings.ToLower(strings.ReplaceAll(unknown, "_", "-"))
	if name := closest(plain, sortedKeys(known), 1+len(plain)/3); name != "" {
		return fmt.Sprintf("did you mean %q?", name)
	}
	return "rollcall serve --help lists them"
}

// NearFlag returns the name of the flag that an unknown one may have meant, or "".
func NearFlag(flags *pflag.FlagSet, unknown string) string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return closest(strings.ToLower(strings.ReplaceAll(unknown, "_", "-")), names, min(2, len(unknown)/3))
}

// closest returns the choice with the fewest edits from s, at most limit of them, or "". Among equals the first wins.
func closest(s string, choices []string, limit int) string {
	best, name := limit+1, ""
	for _, choice := range choices {
		if d := distance(s, choice); d < best {
			best, name = d, choice
		}
	}
	return name
}

// distance counts the bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// strangeVariables warns of variables that look like a misspelt setting. Other variables with the same prefix are ignored:
// Kubernetes sets ROLLCALL_PORT and the like for a service of our name.
func strangeVariables(environ []string) []string {
	known := map[string]bool{}
	for _, s := range settings() {
		for _, name := range s.env {
			known[name] = true
		}
	}
	for _, name := range []string{configFlag, "addr", "token", "timeout"} {
		known[EnvName(name)] = true
	}
	var lines []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if known[name] || !(strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, "LIVEKIT_")) {
			continue
		}
		if near := closest(name, sortedKeys(known), 2); near != "" {
			lines = append(lines, fmt.Sprintf("%s is not a variable of rollcall's: did you mean %s?", name, near))
		}
	}
	return lines
}
