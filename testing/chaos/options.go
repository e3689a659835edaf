package chaos

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options choose a run. The zero value is every nemesis of three nodes once, with seed 1.
type Options struct {
	// Seed gives the order of the nemeses, their victims, and the traffic.
	Seed uint64
	// Nemeses are names of All; none means all that the world allows.
	Nemeses []string
	// Duration is how long to go on, beginning again after the last nemesis; 0 is each nemesis once.
	Duration time.Duration
	// Hold is how long a fault lasts; default 8 s.
	Hold time.Duration
	// Nodes is 3 or 5; default 3.
	Nodes int
	// Rooms is how many the traffic uses, and Rate about how many webhooks a second it makes; defaults 200 and 60.
	Rooms, Rate int
	// SyncInterval is that of the nodes; default 5 s.
	SyncInterval time.Duration
	// Sentinel puts a replica and three sentinels beside Redis.
	Sentinel bool
	// RealLiveKit puts a real livekit-server into the network, which nodes use in the place of the fake one. Such a world has no
	// traffic, and Run is not for it.
	RealLiveKit bool
	// Binary is the rollcall of the run, static; built from the work tree if empty.
	Binary string
	// Dir is where the reports go; none are written if empty.
	Dir string
}

func (o Options) withDefaults() Options {
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Hold == 0 {
		o.Hold = 8 * time.Second
	}
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Rooms == 0 {
		o.Rooms = 200
	}
	if o.Rate == 0 {
		o.Rate = 60
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = 5 * time.Second
	}
	return o
}

// FromEnv reads what `make chaos` passes on: NEMESIS (names, comma-separated), SEED, DURATION, HOLD, NODES, ROOMS, RATE and REPORTS,
// each with CHAOS_ before it. Errors name the variable.
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
	}
	return o.withDefaults(), nil
}
