package config

import (
	"fmt"

	"github.com/spf13/pflag"
)

// removedSettings returns the names of removed settings, each with the one that replaces it. They are refused by name in
// every source: an address that is silently ignored would cost more than a failed start.
func removedSettings() map[string]string {
	return map[string]string{"raft-addr": "node-addr", "actor-addr": "node-addr",
		"raft-advertise": "node-advertise", "actor-advertise": "node-advertise"}
}

func removedText(instead string) string {
	return fmt.Sprintf("gone: nodes talk over one port now; give --%s, %s", instead, EnvName(instead))
}

// addRemovedFlags makes removed flags parse, so that they can be refused by name.
func addRemovedFlags(flags *pflag.FlagSet) {
	for name := range removedSettings() {
		flags.Var(&rawValue{kind: "string"}, name, "")
		_ = flags.MarkHidden(name) // it fails only for a flag that is not defined
	}
}

// refuseRemoved reports removed settings that are given as flags or variables. Keys of the file are checked when the file is
// read.
func refuseRemoved(flags *pflag.FlagSet, vars map[string]string, p *problems) {
	removed := removedSettings()
	for _, name := range sortedKeys(removed) {
		_, isSet := vars[EnvName(name)]
		if isSet || flags.Changed(name) {
			p.lines = append(p.lines, "--"+name+", "+EnvName(name)+": "+removedText(removed[name]))
		}
	}
}
