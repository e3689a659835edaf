package main

import (
	"io"
	"strings"

	"github.com/fatih/color"
)

// ink is how a word stands out on a terminal.
type ink int

const (
	plain    ink = iota
	good         // as it should be; or what comes
	doubtful     // worth a look; or what becomes another
	bad          // needs somebody; or what goes
)

// palette colours words for people. Its zero value leaves every word as it is.
type palette struct{ on bool }

// paletteFor colours what people read on a terminal, unless they do not want it: https://no-color.org.
func paletteFor(w io.Writer, environ []string) palette {
	vars := readEnv(environ)
	return palette{on: isTerminal(w) && vars["NO_COLOR"] == "" && vars["TERM"] != "dumb"}
}

func (p palette) paint(i ink, text string) string {
	hues := map[ink]color.Attribute{good: color.FgGreen, doubtful: color.FgYellow, bad: color.FgRed}
	hue, ok := hues[i]
	if !p.on || !ok || text == "" {
		return text
	}
	c := color.New(hue)
	c.EnableColor() // it has been decided, not by the process' own output and environment
	return c.Sprint(text)
}

func memberInk(state string) ink {
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

// changeInk is of a change's type, as the feed and the timeline name it.
func changeInk(change string) ink {
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

// driftInk tells a repair that put something into Redis from one that took it away.
func driftInk(reason string) ink {
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
