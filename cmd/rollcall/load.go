package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// purpose says what a configuration is for.
type purpose int

const (
	// forServe needs a LiveKit.
	forServe purpose = iota
	// forDev brings its own LiveKit when none is configured.
	forDev
)

// Loaded is a checked configuration and where it came from.
type Loaded struct {
	Config Config
	// Sources says for each setting: "flag", "env NAME", "file PATH" or "default".
	Sources map[string]string
	// Warnings are lines about what is allowed and probably not meant.
	Warnings []string
}

func (l Loaded) warn(w io.Writer) {
	for _, line := range l.Warnings {
		fmt.Fprintln(w, "rollcall: warning: "+line)
	}
}

// load reads flags over environment over file over defaults, parses every value
// and checks the whole. The error lists every problem, one line each, and makes
// the exit code 2.
func load(flags *pflag.FlagSet, environ []string, why purpose) (Loaded, error) {
	p := &problems{}
	layers := readLayers(flags, environ, p)
	loaded := Loaded{Sources: map[string]string{}, Warnings: strangeVariables(environ)}
	texts := map[string]string{}
	for _, s := range settings() {
		text, source := s.def, "default"
		for _, l := range layers {
			if v, from, ok := l.find(s); ok {
				text, source = v, from
				break
			}
		}
		loaded.Sources[s.name], texts[s.name] = source, text
		p.origin(s, source)
		if err := s.set(&loaded.Config, text); err != nil {
			p.report(s.name, refusedText(s, text, err))
		}
	}
	if loaded.Sources["node-addr"] == "default" && loaded.Config.needsNoPort() {
		loaded.Config.NodeAddr = ""
	}
	if l := &loaded.Config.LiveKit; why == forDev && loaded.Sources["livekit-host"] == "env LIVEKIT_URL" && l.APIKey == "" && l.APISecret == "" {
		l.Host = "" // a variable for other tools, without the key, asks for no LiveKit here
	}
	validate(&loaded.Config, texts, why, func(name, problem string) {
		for _, text := range texts {
			problem = hideURLUser(problem, text)
		}
		p.reportFirst(name, problem)
	})
	loaded.Warnings = append(loaded.Warnings, warnings(&loaded.Config, texts)...)
	if len(p.lines) > 0 {
		return loaded, &usageError{lines: p.lines}
	}
	return loaded, nil
}

// problems collects what is wrong, one line each.
type problems struct {
	lines []string
	// names and from say how a setting is called and where its value stood.
	names, from map[string]string
	told        map[string]bool
}

func (p *problems) origin(s setting, source string) {
	if p.names == nil {
		p.names, p.from, p.told = map[string]string{}, map[string]string{}, map[string]bool{}
	}
	p.names[s.name] = "--" + s.name + ", " + s.env[0]
	if source != "default" && source != "flag" && source != "env "+s.env[0] {
		p.from[s.name] = " (set in " + strings.TrimPrefix(strings.TrimPrefix(source, "env "), "file ") + ")"
	}
}

func (p *problems) report(name, problem string) {
	p.told[name] = true
	p.lines = append(p.lines, p.names[name]+": "+problem+p.from[name])
}

// reportFirst reports only settings that had no problem yet: what is said about
// a value that did not parse would mislead.
func (p *problems) reportFirst(name, problem string) {
	if !p.told[name] {
		p.report(name, problem)
	}
}
