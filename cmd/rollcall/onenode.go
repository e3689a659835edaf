package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// loadServe reads the configuration of a node to run. This version runs one node: settings for several are checked as they
// will be, and refused here.
func loadServe(flags *pflag.FlagSet, environ []string) (Loaded, error) {
	loaded, err := load(flags, environ, forServe)
	if err != nil {
		return loaded, err
	}
	refuse := func(name, what, instead string) (Loaded, error) {
		return loaded, &usageError{lines: []string{fmt.Sprintf("--%s, %s: %s asks for a cluster, and this version runs one node: %s",
			name, envName(name), what, instead)}}
	}
	switch c := loaded.Config; {
	case c.BootstrapExpect > 1:
		return refuse("bootstrap-expect", fmt.Sprintf("%d", c.BootstrapExpect), "give 1")
	case len(c.Join) > 0:
		return refuse("join", c.Join[0], "leave it out")
	}
	return loaded, nil
}
