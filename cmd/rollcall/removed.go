package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// removedSettings are the names of settings that are gone, each with the one that does its work now. They are refused by
// name wherever they stand: an address that is silently ignored would cost more than a start.
func removedSettings() map[string]string {
	return map[string]string{"raft-addr": "node-addr", "actor-addr": "node-addr",
		"raft-advertise": "node-advertise", "actor-advertise": "node-advertise"}
}

func removedText(instead string) string {
	return fmt.Sprintf("gone: nodes talk over one port now; give --%s, %s", instead, envName(instead))
}

// addRemovedFlags lets removed flags be parsed, so that they can be refused by name.
func addRemovedFlags(flags *pflag.FlagSet) {
	for name := range removedSettings() {
		flags.Var(&rawValue{kind: "string"}, name, "")
		_ = flags.MarkHidden(name) // it fails for a flag that is not defined only
	}
}

// refuseRemoved reports removed settings that are given as flags or variables. The file's keys are looked at where it is read.
func refuseRemoved(flags *pflag.FlagSet, vars map[string]string, p *problems) {
	removed := removedSettings()
	for _, name := range sortedKeys(removed) {
		_, isSet := vars[envName(name)]
		if isSet || flags.Changed(name) {
			p.lines = append(p.lines, "--"+name+", "+envName(name)+": "+removedText(removed[name]))
		}
	}
}
