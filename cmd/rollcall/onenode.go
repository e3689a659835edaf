package main

import (
	"fmt"
	"net"

	"github.com/spf13/pflag"
)

// loadNode reads the configuration of a node to run. This version runs one node: settings for several are checked as they
// will be, and refused here.
func loadNode(flags *pflag.FlagSet, environ []string, why purpose) (Loaded, error) {
	loaded, err := load(flags, environ, why)
	if err != nil {
		return loaded, err
	}
	c := loaded.Config
	refuse := func(name, what, instead string) (Loaded, error) {
		return loaded, &usageError{lines: []string{fmt.Sprintf("--%s, %s: %s asks for a cluster, and this version runs one node: %s",
			name, envName(name), what, instead)}}
	}
	host, port, _ := net.SplitHostPort(c.RaftAddr)
	switch {
	case c.BootstrapExpect > 1:
		return refuse("bootstrap-expect", fmt.Sprintf("%d", c.BootstrapExpect), "give 1")
	case len(c.Join) > 0:
		return refuse("join", c.Join[0], "leave it out")
	case !loopback(host):
		return refuse("raft-addr", c.RaftAddr, "leave it out, or give 127.0.0.1:"+port)
	}
	for _, name := range []string{"actor-addr", "actor-advertise", "dead-after", "tls-ca", "tls-cert", "tls-key", "insecure"} {
		if loaded.Sources[name] != "default" {
			loaded.Warnings = append(loaded.Warnings, fmt.Sprintf("--%s, %s has no effect: it is for talk between nodes, and this version runs one",
				name, envName(name)))
		}
	}
	return loaded, nil
}
