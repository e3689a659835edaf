package chaos

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options configure a run. The zero value runs every nemesis once on three nodes, with seed 1.
type Options struct {
	// Seed determines the order of the nemeses, their victims, and the traffic.
	Seed uint64
	// Nemeses are names from All. If empty, all that the world allows are run.
	Nemeses []string
	// Duration is how long to run, starting over after the last nemesis; 0 means each nemesis once.
	Duration time.Duration
	// Hold is how long a fault lasts; default 8 s.
	Hold time.Duration
	// Nodes is 3 or 5; default 3.
	Nodes int
	// Rooms is how many rooms the traffic uses, and Rate about how many webhooks a second it makes; defaults 200 and 60.
	Rooms, Rate int
	// SyncInterval is the nodes' sync interval; default 5 s.
	SyncInterval time.Duration
	// Sentinel adds a replica and three sentinels to Redis.
	Sentinel bool
	// Cluster replaces Redis by a Redis Cluster of three primaries and three replicas.
	Cluster bool
	// RealLiveKit adds a real livekit-server to the network, which nodes use instead of the fake. Such a world has no traffic,
	// and Run does not support it.
	RealLiveKit bool
	// Binary is the path of the rollcall under test, statically linked. If empty, it is built from the work tree.
	Binary string
	// Dir is where the reports are written; if empty, none are.
	Dir string
}

func (o Options) withDefaults() Options {
	o.Seed = cmp.Or(o.Seed, 1)
	o.Hold = cmp.Or(o.Hold, 8*time.Second)
	o.Nodes = cmp.Or(o.Nodes, 3)
	o.Rooms = cmp.Or(o.Rooms, 200)
	o.Rate = cmp.Or(o.Rate, 60)
	o.SyncInterval = cmp.Or(o.SyncInterval, 5*time.Second)
	return o
}

// FromEnv reads the variables that `make chaos` passes: NEMESIS (names, comma-separated), SEED, DURATION, HOLD, NODES, ROOMS,
// RATE and REPORTS, each with the prefix CHAOS_. Errors name the variable.
func FromEnv() (Options, error) {
	o := Options{Dir: os.Getenv("CHAOS_REPORTS")}
	for name := range strings.FieldsFuncSeq(os.Getenv("CHAOS_NEMESIS"), func(r rune) bool { return r == ',' || r == ' ' }) {
		o.Nemeses = append(o.Nemeses, name)
	}
	if text := os.Getenv("CHAOS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return o, fmt.Errorf("SEED: %w", err)
		}
		o.Seed = seed
	}
	for name, into := range map[string]*time.Duration{"DURATION": &o.Duration, "HOLD": &o.Hold} {
		if text := os.Getenv("CHAOS_" + name); text != "" {
			d, err := time.ParseDuration(text)
			if err != nil {
				return o, fmt.Errorf("%s: %w", name, err)
			}
			*into = d
		}
	}
	for name, into := range map[string]*int{"NODES": &o.Nodes, "ROOMS": &o.Rooms, "RATE": &o.Rate} {
		if text := os.Getenv("CHAOS_" + name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return o, fmt.Errorf("%s: %q is no number above 0", name, text)
			}
			*into = n
		}
	}
	if o.Nodes != 0 && o.Nodes != 3 && o.Nodes != 5 {
		return o, fmt.Errorf("NODES: 3 or 5, not %d", o.Nodes)
	}
	for _, n := range All() {
		o.Sentinel = o.Sentinel || n.Sentinel && slices.Contains(o.Nemeses, n.Name)
		o.Cluster = o.Cluster || n.Cluster && slices.Contains(o.Nemeses, n.Name)
	}
	return o.withDefaults(), nil
}
