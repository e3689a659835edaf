package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The days for which certificates last.
const (
	authorityDays = 3650
	nodeDays      = 365
)

// certOptions are the flags of `rollcall cert`.
type certOptions struct {
	dir         string
	days        int
	force, json bool
}

func (a *app) certCommand() *cobra.Command {
	var o certOptions
	cmd := &cobra.Command{
		Use:     "cert NODE[=HOST,…] …",
		GroupID: groupNode,
		Short:   "Make an authority and node certificates, for trying TLS out",
		Long: `Make the files that --tls-ca, --tls-cert and --tls-key take. HOSTs are the names and
IP addresses by which other nodes dial the node: those of its --node-advertise and
--http-advertise. A NODE without hosts is dialled by its own name or on this machine:
NODE, localhost, 127.0.0.1, ::1.

The first call makes an authority in --dir, later calls use it again. Whoever has its
key (ca-key.pem) can make nodes: keep it off them.`,
		Example: `  rollcall cert n1=10.0.0.1,n1.example.org n2=10.0.0.2 n3=10.0.0.3
  rollcall cert --dir /etc/rollcall n4=10.0.0.4    # one more, by the same authority
  rollcall cert --force n1=10.0.0.1                # a new one in the place of the old`,
		Args: someNodes,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "certs", "`directory` of the files; made where it is missing")
	flags.IntVar(&o.days, "days", nodeDays, "how many days the nodes' certificates last; the authority's lasts 10 years")
	flags.BoolVar(&o.force, "force", false, "replace node certificates that are there; the authority stays")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		requests, err := parseCertArgs(args, o)
		if err != nil {
			return err
		}
		made, err := makeCerts(o, requests, time.Now())
		if err != nil {
			return err
		}
		if o.json {
			return printJSON(a.stdout, made)
		}
		_, err = fmt.Fprint(a.stdout, made.text())
		return err
	}
	return cmd
}

func someNodes(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("name at least one node, such as n1=10.0.0.1,n1.example.org or just n1")
	}
	return nil
}

// certRequest is a node and the hosts by which others dial it.
type certRequest struct {
	name  string
	hosts []string
}

// parseCertArgs reads the nodes of a command line. Its error lists every problem, one line each.
func parseCertArgs(args []string, o certOptions) ([]certRequest, error) {
	var requests []certRequest
	var lines []string
	report := func(format string, values ...any) { lines = append(lines, fmt.Sprintf(format, values...)) }
	seen := map[string]bool{}
	for _, arg := range args {
		name, list, given := strings.Cut(arg, "=")
		switch {
		case !goodNodeID(name) || name == "ca" || strings.HasSuffix(name, "-key"):
			report("%q is no name for a node's files: give letters, digits, '-', '_' and '.', such as n1; not ca, and nothing that ends in -key", name)
			continue
		case seen[name]:
			report("%s is named twice: give all its hosts at once, %s=HOST,HOST", name, name)
			continue
		}
		seen[name] = true
		hosts := []string{name, "localhost", "127.0.0.1", "::1"}
		if given {
			hosts = splitList(list)
		}
		if len(hosts) == 0 {
			report("%s= names no host: give some, such as %s=10.0.0.1, or the name alone", name, name)
		}
		for _, host := range hosts {
			if !goodCertHost(host) {
				report("%s: %q is no host: give a name or an IP address, without port or brackets, such as n1.example.org", name, host)
			}
		}
		requests = append(requests, certRequest{name, hosts})
	}
	if o.days < 1 || o.days > authorityDays {
		report("--days: give a number from 1 to %d", authorityDays)
	}
	if o.dir == "" {
		report("--dir: give the directory of the files, such as certs")
	}
	if len(lines) > 0 {
		return nil, &usageError{lines: lines}
	}
	return requests, nil
}
