package config

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Purpose is the command that a configuration is for.
type Purpose int

const (
	// ForServe requires a LiveKit.
	ForServe Purpose = iota
	// ForDev starts its own LiveKit if none is configured.
	ForDev
)

// Loaded is a checked configuration and the sources of its values.
type Loaded struct {
	Config Config
	// Sources holds the source of each setting: "flag", "env NAME", "file PATH" or "default".
	Sources map[string]string
	// Warnings are lines about settings that are allowed but probably unintended.
	Warnings []string
}

// WriteWarnings writes each warning as a line of its own. A writer that fails loses them.
func (l Loaded) WriteWarnings(w io.Writer) {
	for _, line := range l.Warnings {
		fmt.Fprintln(w, "rollcall: warning: "+line)
	}
}

// IsSecret reports whether a flag of that name has a value that is never printed.
func IsSecret(flag string) bool {
	return slices.ContainsFunc(settings(), func(s setting) bool { return s.secret && s.name == flag })
}

// ShownSetting is the effective value of a setting, with secrets redacted, and its source.
type ShownSetting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
	// IsDefault is true if nothing has set it and it has the value that it has in most configurations.
	IsDefault bool `json:"-"`
	// Reload is true if a running node can take a new value; otherwise it needs a restart.
	Reload bool `json:"reload"`
}

// ChangedBy returns what gives a running node a new value: reload or restart.
func (s ShownSetting) ChangedBy() string {
	if s.Reload {
		return "reload"
	}
	return "restart"
}

// Settings lists the effective values, with secrets redacted.
func (l Loaded) Settings() []ShownSetting {
	var list []ShownSetting
	for _, s := range settings() {
		value := s.show(&l.Config)
		if !s.secret { // secret settings show themselves without their secret part
			value = hideURLUser(value, value)
		}
		var plain Config
		_ = s.set(&plain, s.def) // "" is refused by some that have no default
		unset := l.Sources[s.name] == "default" && (value == "" || value == s.show(&plain))
		list = append(list, ShownSetting{s.name, value, l.Sources[s.name], unset, s.reload})
	}
	return list
}

// Load takes each setting from the first source that has it, in the order flags, environment, file, defaults. It parses every
// value and checks the whole. The error lists every problem, one line each, and leads to exit code 2.
func Load(flags *pflag.FlagSet, environ []string, why Purpose) (Loaded, error) {
	p := &problems{}
	layers := readSources(flags, environ, p)
	if p.unreadable {
		return Loaded{}, &UsageError{Lines: p.lines} // whatever else seems missing may be in the file
	}
	loaded := Loaded{Sources: map[string]string{}, Warnings: strangeVariables(environ)}
	texts := map[string]string{}
	for _, s := range settings() {
		text, source := s.def, "default"
		for _, find := range layers {
			if v, from, ok := find(s); ok {
				text, source = v, from
				break
			}
		}
		loaded.Sources[s.name], texts[s.name] = source, text
		p.origin(s, source)
	}
	readSecretFiles(loaded.Sources, texts, p)
	for _, s := range settings() {
		if err := s.set(&loaded.Config, texts[s.name]); err != nil {
			p.report(s.name, refusedText(s, texts[s.name], err))
		}
	}
	if loaded.Sources["node-addr"] == "default" && loaded.Config.needsNoPort() {
		loaded.Config.NodeAddr = ""
	}
	if l := &loaded.Config.LiveKit; why == ForDev && loaded.Sources["livekit-host"] == "env LIVEKIT_URL" && l.APIKey == "" && l.APISecret == "" {
		l.Host = "" // LIVEKIT_URL alone, without a key, is meant for other tools: dev starts its own LiveKit
	}
	validate(&loaded.Config, texts, why, func(name, problem string) {
		for _, text := range texts {
			problem = hideURLUser(problem, text)
		}
		p.reportFirst(name, problem)
	})
	loaded.Warnings = append(loaded.Warnings, warnings(&loaded.Config, texts)...)
	if len(p.lines) > 0 {
		return loaded, &UsageError{Lines: p.lines}
	}
	if why == ForServe {
		loaded.Warnings = append(loaded.Warnings, trialWarnings(&loaded.Config)...)
	}
	return loaded, nil
}

// problems collects the problems, one line each.
type problems struct {
	lines []string
	// unreadable is true if the file of --config is not YAML.
	unreadable bool
	// names and from hold each setting's name for messages and the source of its value.
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

// reportFirst reports a problem only if the setting has none yet: a second message about a value that did not parse would
// mislead.
func (p *problems) reportFirst(name, problem string) {
	if !p.told[name] {
		p.report(name, problem)
	}
}
