package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rollcallhq/rollcall/internal/config"
)

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	return nil
}

// show returns a function that prints what a node answered, as JSON or by print, or returns the error in place of an answer.
func show[T any](a *app, asJSON bool, print func(T) error) func(T, error) error {
	return func(answer T, err error) error {
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(a.stdout, answer)
		}
		return print(answer)
	}
}

// colored describes how to colour the cells of one column.
type colored struct {
	column int
	color  func(cell string) color
}

// table prints rows in aligned columns; the first row is the header. Colours are applied after the widths are computed,
// which count letters only.
func (a *app) table(rows [][]string, colors ...colored) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			if at := slices.IndexFunc(colors, func(c colored) bool { return c.column == i }); n > 0 && at >= 0 {
				cell = a.colours.colorize(colors[at].color(cell), cell)
			}
			line += cell + pad
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if _, err := io.WriteString(a.stdout, b.String()); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

// safe returns a name as it is, or quoted if a terminal or a column would not show it as it is: names may contain line ends
// and escapes, and may be empty.
func safe(name string) string {
	if q := strconv.Quote(name); name == "" || q != `"`+name+`"` || name != strings.TrimSpace(name) {
		return q
	}
	return name
}

// sentence returns a text that may hold quoted names, with control characters escaped.
func sentence(text string) string {
	q := strconv.Quote(text)
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(q[1 : len(q)-1])
}

// clip shortens a text for one line.
func clip(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	return string(runes[:most-1]) + "…"
}

// count returns a number with its noun: 1 room, 2 rooms, 2 people.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "person":
		return fmt.Sprintf("%d people", n)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// span formats a duration for operators, with at most two units.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return config.FormatDuration(d.Round(time.Second))
	case d < time.Hour:
		return config.FormatDuration(d.Round(time.Second))
	case d < 48*time.Hour:
		return config.FormatDuration(d.Round(time.Minute))
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// moment formats a time and its age, such as 10:31:02Z (4m0s).
func moment(at, now time.Time) string {
	layout := "15:04:05Z"
	if now.Sub(at) > 12*time.Hour {
		layout = "2006-01-02 15:04:05Z"
	}
	return fmt.Sprintf("%s (%s)", at.UTC().Format(layout), span(max(now.Sub(at), 0)))
}

// clock formats a time in Unix milliseconds, in UTC.
func clock(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05Z")
}
