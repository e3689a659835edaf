package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/proc"
)

// nodes is the number of nodes.
const nodes = 3

const (
	readyWithin = time.Minute
	// endWithin is longer than a node takes to end after SIGTERM.
	endWithin = 12 * time.Second
)

// cluster is the three nodes.
type cluster struct {
	options
	dir     string
	out     *lines
	livekit string
	redis   string
	nodes   []*node
	ending  context.Context
	end     context.CancelFunc
	keepers sync.WaitGroup
}

// node is one of the three nodes. Its process is started again when it ends.
type node struct {
	id, http string
	flags    []string

	mu   sync.Mutex
	proc *proc.Process
}

// plan assigns each node its two addresses.
func (c *cluster) plan(addrs []string, redis string) {
	c.redis = redis
	c.ending, c.end = context.WithCancel(context.Background())
	var join []string
	for i := range nodes {
		join = append(join, addrs[2*i])
	}
	for i := range nodes {
		id := fmt.Sprintf("n%d", i+1)
		n := &node{id: id, http: "http://" + addrs[2*i+1]}
		n.flags = []string{"serve", "--node-id=" + id, "--node-addr=" + addrs[2*i], "--http-addr=" + addrs[2*i+1],
			"--data-dir=" + filepath.Join(c.dir, id), fmt.Sprintf("--bootstrap-expect=%d", nodes), "--join=" + strings.Join(join, ","),
			"--drain-delay=0s", "--log-level=warn"}
		c.nodes = append(c.nodes, n)
	}
}

func (c *cluster) hooks() []string {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.http+"/api/livekit-webhook")
	}
	return urls
}

// start returns when all nodes are ready. Each node then has a keeper that starts it again.
func (c *cluster) start(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := c.launch(n); err != nil {
			return err
		}
		c.keepers.Go(func() { c.keep(n) })
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, n := range c.nodes {
		if err := n.awaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) launch(n *node) error {
	cmd := exec.Command(c.rollcall, n.flags...)
	cmd.Env = []string{"LIVEKIT_HOST=" + c.livekit, "LIVEKIT_API_KEY=" + livekittest.Key, "LIVEKIT_API_SECRET=" + livekittest.Secret,
		"REDIS_URL=redis://" + c.redis}
	log := c.out.prefixed(n.id)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which ends the others in the right order
	p, err := proc.Start(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", n.id, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proc = p
	return nil
}

func (n *node) process() *proc.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// keep starts the node again, as a supervisor would, until the cluster ends.
func (c *cluster) keep(n *node) {
	for {
		p := n.process()
		select {
		case <-p.Done():
		case <-c.ending.Done():
			return
		}
		fmt.Fprintf(c.out, "%s  %s has ended (%v); it is started again in %v\n", stamp(), n.id, ended(p), c.again)
		select {
		case <-time.After(c.again):
		case <-c.ending.Done():
			return
		}
		if err := c.launch(n); err != nil {
			fmt.Fprintln(c.out, err)
			return
		}
		fmt.Fprintf(c.out, "%s  %s is started again, pid %d\n", stamp(), n.id, n.process().Pid())
	}
}

func ended(p *proc.Process) string {
	if err := p.Err(); err != nil {
		return err.Error()
	}
	return "exit status 0"
}

// stop ends the nodes, all at once, and waits until they have ended.
func (c *cluster) stop() {
	c.end()
	c.keepers.Wait()
	c.out.quiet() // the last node to end has no quorum for its leave, and logs so
	for _, n := range c.nodes {
		if p := n.process(); p != nil {
			p.Signal(syscall.SIGTERM)
		}
	}
	for _, n := range c.nodes {
		if p := n.process(); p != nil && !p.Ended(endWithin) {
			p.Kill()
		}
	}
}

func (n *node) awaitReady(ctx context.Context) error {
	err := n.process().AwaitReady(ctx, func(ctx context.Context) error { return nodetest.Probe(ctx, n.http+"/readyz", http.StatusOK) })
	if err != nil {
		return fmt.Errorf("%s is not ready, and its lines above tell why: %w", n.id, err)
	}
	return nil
}
