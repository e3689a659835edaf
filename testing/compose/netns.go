package compose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// ErrNoNetns means that this process cannot change a container's network from outside. The error that wraps it says why.
var ErrNoNetns = errors.New("the containers' networks cannot be changed from here")

// ErrNotRunning means that a service's container has no process now, and therefore no network either.
var ErrNotRunning = errors.New("it does not run")

// CanCut returns nil if Cut, Slow and Divert can work here, otherwise ErrNoNetns with what is missing.
func CanCut() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: run as root, on the engine's own machine", ErrNoNetns)
	}
	for _, tool := range []string{"nsenter", "iptables", "tc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: install %s (Debian: apt-get install util-linux iptables iproute2): %w", ErrNoNetns, tool, err)
		}
	}
	return nil
}

// Rule selects packets of a service to drop. Packets are those between the service and the peer.
type Rule struct {
	// Peer is the other side's IP address.
	Peer string
	// Port is the peer's TCP port. 0 means all traffic with the peer, whichever side connected.
	Port int
	// Out selects packets to the peer, In those from it. Neither means both.
	Out, In bool
	// Loss is the fraction that is lost, above 0 and at most 1; 0 means all.
	Loss float64
}

// chain is our own chain in the containers' tables: the engine keeps its own rules there, for name resolution.
const chain = "CHAOS"

// Cut drops a service's packets by the rules, in addition to those in force. Heal removes all rules, and so does a restart.
func (p *Project) Cut(ctx context.Context, service string, rules ...Rule) error {
	script := chainIn("filter", "INPUT", "OUTPUT")
	for _, r := range rules {
		both := r.Out == r.In
		if r.Out || both {
			script = append(script, r.command("-d", "--dport"))
		}
		if r.In || both {
			script = append(script, r.command("-s", "--sport"))
		}
	}
	return p.inNetns(ctx, service, script)
}

func (r Rule) command(peer, port string) string {
	line := fmt.Sprintf("iptables -w -A %s %s %s", chain, peer, r.Peer)
	if r.Port != 0 {
		line += fmt.Sprintf(" -p tcp %s %d", port, r.Port)
	}
	if r.Loss != 0 {
		line += fmt.Sprintf(" -m statistic --mode random --probability %.4f", r.Loss)
	}
	return line + " -j DROP"
}

// Divert redirects a service's TCP connections to a peer's port to another address, usually a proxy. Open connections are reset.
// Heal ends it.
func (p *Project) Divert(ctx context.Context, service, peer string, port int, to string) error {
	script := append(chainIn("nat", "OUTPUT"), chainIn("filter", "INPUT", "OUTPUT")...)
	match := fmt.Sprintf("-p tcp -d %s --dport %d", peer, port)
	script = append(script,
		fmt.Sprintf("iptables -w -t nat -A %s %s -j DNAT --to-destination %s", chain, match, to),
		// Diverted connections have another destination by now.
		fmt.Sprintf("iptables -w -A %s %s -j REJECT --reject-with tcp-reset", chain, match))
	return p.inNetns(ctx, service, script)
}

// Slow makes everything that a service sends slow, and returns how: with netem where the kernel has it (50 ms ± 20 ms), otherwise
// with a narrow link (tbf, 2 Mbit/s), which delays large transfers but not small ones. Hasten ends it.
func (p *Project) Slow(ctx context.Context, service string) (how string, err error) {
	if err := p.inNetns(ctx, service, []string{"tc qdisc replace dev eth0 root netem delay 50ms 20ms"}); err == nil {
		return "netem 50 ms ± 20 ms", nil
	}
	return "tbf 2 Mbit/s (this kernel has no netem)", p.inNetns(ctx, service, []string{"tc qdisc replace dev eth0 root tbf rate 2mbit burst 8k latency 300ms"})
}

// Hasten ends the effect of Slow.
func (p *Project) Hasten(ctx context.Context, service string) error {
	return p.inNetns(ctx, service, []string{"tc qdisc del dev eth0 root"})
}

// Heal ends every Cut and Divert of a service. Diverted connections are reset.
func (p *Project) Heal(ctx context.Context, service string) error {
	return p.inNetns(ctx, service, []string{
		"iptables -w -t nat -F " + chain + " 2>/dev/null || true",
		"iptables -w -F " + chain + " 2>/dev/null || true",
	})
}

// chainIn returns the commands that create our chain in a table, once, and make the table's own chains begin with it.
func chainIn(table string, hooks ...string) []string {
	lines := []string{fmt.Sprintf("iptables -w -t %s -n -L %s >/dev/null 2>&1 || iptables -w -t %s -N %s", table, chain, table, chain)}
	for _, hook := range hooks {
		lines = append(lines, fmt.Sprintf("iptables -w -t %s -C %s -j %s 2>/dev/null || iptables -w -t %s -I %s -j %s",
			table, hook, chain, table, hook, chain))
	}
	return lines
}

// inNetns runs a shell script of the host in a service's network namespace.
func (p *Project) inNetns(ctx context.Context, service string, script []string) error {
	if err := CanCut(); err != nil {
		return err
	}
	pid, err := p.pid(ctx, service)
	if err != nil {
		return err
	}
	_, err = p.engine.run(ctx, nil, "nsenter", "-t", pid, "-n", "sh", "-e", "-c", strings.Join(script, "\n"))
	return err
}

// PID returns the process id on this machine of a service's first process. It fails with ErrNotRunning.
func (p *Project) PID(ctx context.Context, service string) (int, error) {
	text, err := p.pid(ctx, service)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// pid returns the process id on this machine of a service's first process, as text.
func (p *Project) pid(ctx context.Context, service string) (string, error) {
	id, err := p.ID(ctx, service)
	if err != nil {
		return "", err
	}
	pid, err := p.engine.docker(ctx, "inspect", "--format", "{{.State.Pid}}", id)
	if err == nil && pid == "0" {
		err = fmt.Errorf("%s: %w", service, ErrNotRunning)
	}
	return pid, err
}
