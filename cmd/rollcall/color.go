package main

import (
	"io"
	"strings"

	ansi "github.com/fatih/color"

	"github.com/rollcallhq/rollcall/internal/config"
)

// color is the meaning of a word that is highlighted on a terminal.
type color int

const (
	plain    color = iota
	good           // as it should be; or something is added
	doubtful       // worth a look; or something changes
	bad            // needs attention; or something is removed
)

// palette colours words for people. Its zero value leaves every word unchanged.
type palette struct{ on bool }

// paletteFor returns a palette that colours output on a terminal, unless the user has turned that off: https://no-color.org.
func paletteFor(w io.Writer, environ []string) palette {
	vars := config.Environment(environ)
	return palette{on: isTerminal(w) && vars["NO_COLOR"] == "" && vars["TERM"] != "dumb"}
}

func (p palette) colorize(i color, text string) string {
	hues := map[color]ansi.Attribute{good: ansi.FgGreen, doubtful: ansi.FgYellow, bad: ansi.FgRed}
	hue, ok := hues[i]
	if !p.on || !ok || text == "" {
		return text
	}
	c := ansi.New(hue)
	c.EnableColor() // paletteFor has decided, not this process' own output and environment
	return c.Sprint(text)
}

func (p palette) alarm(text string) string { return p.colorize(bad, text) }

func memberColor(state string) color {
	switch strings.TrimPrefix(state, "! ") {
	case "ready":
		return good
	case "unready", "away":
		return doubtful
	case "unreachable":
		return bad
	}
	return plain
}

// changeColor returns the color for the type of a change, as named in the feed and the timeline.
func changeColor(change string) color {
	switch change {
	case "participant_joined", "room_started":
		return good
	case "participant_updated", "room_updated":
		return doubtful
	case "participant_left", "room_finished":
		return bad
	}
	return plain
}

// driftColor distinguishes repairs that put something into Redis from repairs that removed something.
func driftColor(reason string) color {
	switch reason {
	case "missed join", "unseen room":
		return good
	case "stale metadata", "lost write", "foreign change":
		return doubtful
	case "missed leave", "ghost", "unseen finish":
		return bad
	}
	return plain
}
