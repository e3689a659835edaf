package main

import (
	"context"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// What check-config accepts must start, although the cluster has rules of its own.
func TestCheckConfigRefusesWhatServeRefuses(t *testing.T) {
	refused, accepted := 0, 0
	for _, expect := range []string{"", "1", "3"} {
		for _, join := range []string{"", "127.0.0.1:7001", "n2.example.org:7000"} {
			for _, addr := range []string{"", "127.0.0.1:7000", ":7000"} {
				for _, advertise := range []string{"", "127.0.0.1:7000", "n1.example.org:7000"} {
					args := []string{"check-config", "--redis-url=redis://localhost", "--insecure"}
					for name, value := range map[string]string{"bootstrap-expect": expect, "join": join, "node-addr": addr, "node-advertise": advertise} {
						if value != "" {
							args = append(args, "--"+name+"="+value)
						}
					}
					if o := command(t, deps{}, baseEnv(), args...); o.code != exitDone {
						refused++
						continue
					}
					accepted++
					l := nodetest.Load(t, baseEnv(), args[1:]...)
					c := l.Config
					err := cluster.Config{NodeID: "n1", NodeAddr: c.NodeAddr, NodeAdvertise: c.NodeAdvertise, BootstrapExpect: c.BootstrapExpect, Join: c.Join,
						Generation: func(context.Context, uint64) (uint64, error) { return 1, nil }}.Validate()
					if err != nil {
						t.Errorf("%q is accepted, and serve refuses it: %v", args, err)
					}
				}
			}
		}
	}
	if refused == 0 || accepted == 0 {
		t.Errorf("%d refused and %d accepted: the test proves nothing", refused, accepted)
	}
}

func TestAnAddressThatOthersCannotUseIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		args string
		warn bool
	}{
		{"--join=n2.example.org:7000 --node-addr=127.0.0.1:7000", true},
		{"--join=n2.example.org:7000 --node-addr=:7000 --node-advertise=localhost:7000 --insecure", true},
		{"--join=10.0.0.2:7000,127.0.0.1:7000 --node-addr=[::1]:7000", true},
		{"--join=127.0.0.1:7001 --node-addr=127.0.0.1:7000", false},
		{"--join=n2.example.org:7000 --node-addr=:7000 --node-advertise=n1.example.org:7000 --insecure", false},
	} {
		l := nodetest.Load(t, baseEnv(), append(strings.Fields(c.args), "--redis-url=redis://localhost")...)
		if warned := strings.Contains(strings.Join(l.Warnings, "\n"), "--node-advertise"); warned != c.warn {
			t.Errorf("%s: warnings %q, want one of the address: %v", c.args, l.Warnings, c.warn)
		}
	}
}
