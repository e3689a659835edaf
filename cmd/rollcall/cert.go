package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/internal/config"
)

// nodeDays is how many days certificates of nodes are valid by default.
const nodeDays = 365

func (a *app) certCommand() *cobra.Command {
	var o authority.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "cert NODE[=HOST,…] …",
		GroupID: groupNode,
		Short:   "Make an authority and the nodes' certificates, or renew them",
		Long: `Make the files that --tls-ca, --tls-cert and --tls-key take. HOSTs are the names and
IP addresses by which other nodes dial the node: those of its --node-advertise and
--http-advertise. A NODE without hosts is dialled by its own name or on this machine:
NODE, localhost, 127.0.0.1, ::1.

The first call makes an authority in --dir, later calls use it again. Whoever has its
key (ca-key.pem) can make nodes: keep it off them.`,
		Example: `  rollcall cert n1=10.0.0.1,n1.example.org n2=10.0.0.2 n3=10.0.0.3
  rollcall cert --dir /etc/rollcall n4=10.0.0.4    # one more, by the same authority
  rollcall cert --force n1=10.0.0.1                # renews: replaces the old one`,
		Args: someNodes,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Dir, "dir", "certs", "`directory` of the files; created if it is missing")
	flags.IntVar(&o.Days, "days", nodeDays, "how many days the nodes' certificates last; the authority's lasts 10 years")
	flags.BoolVar(&o.Force, "force", false, "replace existing node certificates; the authority stays")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		requests, err := parseCertArgs(args, o)
		if err != nil {
			return err
		}
		made, err := authority.MakeFiles(o, requests, time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(a.stdout, made)
		}
		_, err = fmt.Fprint(a.stdout, certText(made))
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

// parseCertArgs parses the nodes of a command line. Its error lists every problem, one line each.
func parseCertArgs(args []string, o authority.Options) ([]authority.Request, error) {
	var requests []authority.Request
	var lines []string
	report := func(format string, values ...any) { lines = append(lines, fmt.Sprintf(format, values...)) }
	seen := map[string]bool{}
	for _, arg := range args {
		name, list, given := strings.Cut(arg, "=")
		switch {
		case !fsm.ValidNodeID(name) || name == "ca" || strings.HasSuffix(name, "-key"):
			report("%q is not a name for a node's files: give letters, digits, '-', '_' and '.', such as n1; not ca, and nothing that ends in -key", name)
			continue
		case seen[name]:
			report("%s is named twice: give all its hosts at once, %s=HOST,HOST", name, name)
			continue
		}
		seen[name] = true
		hosts := []string{name, "localhost", "127.0.0.1", "::1"}
		if given {
			hosts = config.SplitList(list)
		}
		if len(hosts) == 0 {
			report("%s= names no host: give some, such as %s=10.0.0.1, or the name alone", name, name)
		}
		for _, host := range hosts {
			if !authority.GoodHost(host) {
				report("%s: %q is not a host: give a name or an IP address, without port or brackets, such as n1.example.org", name, host)
			}
		}
		requests = append(requests, authority.Request{Name: name, Hosts: hosts})
	}
	if o.Days < 1 || o.Days > authority.MaxDays {
		report("--days: give a number from 1 to %d", authority.MaxDays)
	}
	if o.Dir == "" {
		report("--dir: give the directory of the files, such as certs")
	}
	if len(lines) > 0 {
		return nil, &config.UsageError{Lines: lines}
	}
	return requests, nil
}

// certText describes what was made and what to do with it.
func certText(m authority.Made) string {
	var b strings.Builder
	verb := "Used the authority"
	if m.Authority.Created {
		verb = "Made an authority"
	}
	fmt.Fprintf(&b, "%s, until %s:\n  %s\n  %s   keep it off the nodes: it can make more of them\n", verb,
		m.Authority.NotAfter.Format(time.DateOnly), m.Authority.Cert, m.Authority.Key)
	for _, n := range m.Nodes {
		fmt.Fprintf(&b, "Made %s, until %s, for %s:\n  %s\n  %s\n", n.Name, n.NotAfter.Format(time.DateOnly), strings.Join(n.Hosts, ", "), n.Cert, n.Key)
	}
	b.WriteString("\nGive each node its own two files and " + m.Authority.Cert + ":\n")
	for _, n := range m.Nodes {
		fmt.Fprintf(&b, "  rollcall serve --node-id %s %s …\n", n.Name, strings.Join(n.Flags, " "))
	}
	return b.String()
}
