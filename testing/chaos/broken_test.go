package chaos

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/compose"
	"github.com/rollcallhq/rollcall/testing/harness/patch"
)

// top is the repository's root.
const top = "../.."

// broken is a build with a deliberate bug, and the nemeses that must make its consequences visible.
type broken struct {
	name    string
	what    string // the bug in words, as the README has it
	nemeses []string
	rooms   int // Options.Rooms, and so on; 0 means as usual
	rate    int
	hold    time.Duration
	edits   []patch.Edit
	// sees matches the violations, "invariant N: text", of which each nemesis must bring at least one.
	sees string
}

// TestBrokenBuilds tests the nemeses and the checks: each build has a bug that a nemesis is for, and a run of the nemesis must fail because of it.
func TestBrokenBuilds(t *testing.T) {
	if os.Getenv("CHAOS_BROKEN") == "" {
		t.Skip("make chaos-broken runs it; it takes about half an hour")
	}
	ctx, e := need(t)
	for _, b := range brokenBuilds {
		t.Run(b.name, func(t *testing.T) {
			dir := t.TempDir()
			overlay, err := patch.Overlay(dir, top, b.edits...)
			if err != nil {
				t.Fatal(err)
			}
			binary := filepath.Join(dir, "rollcall")
			if err := e.BuildBinary(ctx, binary, "-overlay="+overlay); err != nil {
				t.Fatal(err)
			}
			for _, name := range b.nemeses {
				t.Run(name, func(t *testing.T) { b.fails(ctx, t, e, binary, name) })
			}
		})
	}
}

// fails runs one nemesis against the binary.
func (b broken) fails(ctx context.Context, t *testing.T, e *compose.Engine, binary, nemesis string) {
	i := slices.IndexFunc(All(), func(n Nemesis) bool { return n.Name == nemesis })
	if i < 0 {
		t.Fatalf("there is no nemesis %q", nemesis)
	}
	n := All()[i]
	if err := compose.CanCut(); n.Cuts && err != nil {
		t.Skip(err)
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o.Rooms, o.Rate, o.Hold = cmp.Or(b.rooms, o.Rooms), cmp.Or(b.rate, o.Rate), cmp.Or(b.hold, o.Hold)
	o.Duration, o.Nemeses, o.Sentinel, o.Cluster, o.Binary = 0, []string{nemesis}, n.Sentinel, n.Cluster, binary
	if o.Dir != "" {
		o.Dir = filepath.Join(o.Dir, b.name, nemesis)
	}
	r, err := Run(ctx, t, e, o)
	if err != nil {
		t.Logf("the run: %v", err)
	}
	sees := regexp.MustCompile(b.sees)
	for _, v := range r.Violations {
		if text := fmt.Sprintf("invariant %d: %s", v.Invariant, v.Text); sees.MatchString(text) {
			t.Logf("%d violations, such as, after %.1f s: %.300s", len(r.Violations)+r.Dropped, v.At, text)
			return
		}
	}
	t.Errorf("no check saw what was wrong: %s. Violations: %+v", b.what, r.Violations)
}

// TestBrokenBuildsFollowTheCode checks without containers that each change can still be made, and that the README names what it showed.
func TestBrokenBuildsFollowTheCode(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range brokenBuilds {
		if _, err := patch.Apply(top, b.edits...); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		row := fmt.Sprintf("| `%s` | `%s`: %s |", strings.Join(b.nemeses, "`, `"), b.name, b.what)
		if !strings.Contains(string(text), row) {
			t.Errorf("README.md has no row %s", row)
		}
	}
}

const refusal = "local function refusal(r, gen, epoch, inc, expect, lgen, lidx)\n"

var brokenBuilds = []broken{
	{name: "no-fence", what: "Redis accepts every commit and every claim, however old",
		nemeses: []string{"pause-owner", "pause-leader", "partition-one", "partition-leader", "partition-oneway", "partition-oneway-leader"},
		edits: []patch.Edit{
			{File: "internal/redisstore/lua/fence.lua", Old: refusal, New: refusal + "  do return 0 end\n"},
			{File: "internal/redisstore/lua/claim.lua", Old: "  if by < 0 then return {STALE_OWNER} end\n"},
			{File: "internal/redisstore/lua/claim.lua", Old: "  if by == 0 and inc ~= r[3] then return {SPLIT} end\n"},
		}, sees: `^invariant [12]:`},
	{name: "no-settling-time", what: "a list that lags behind LiveKit's events overrules them",
		nemeses: []string{"livekit-lag"},
		edits: []patch.Edit{{File: "reconcile/settling.go",
			Old: "return l.look.Lag > 0 && l.look.Began-at < Stamp(l.look.Lag)", New: "return false"}},
		sees: `^invariant 5:`},
	{name: "a-429-is-an-empty-room", what: "a list that LiveKit refuses because of its request limit counts as empty, and no breaker holds removals",
		nemeses: []string{"livekit-429"}, rooms: 60, rate: 6, hold: 25 * time.Second,
		edits: []patch.Edit{
			{File: "actors/breaker.go", Old: "return missing > breakerFloor && 2*missing > of", New: "return false"},
			{File: "internal/livekit/failure.go", Old: "return fmt.Errorf(\"%w: %w\", ErrLimited, brief{err})", New: "return brief{err}"},
			{File: "internal/livekit/lists.go", Old: "\tcase fromLiveKit(err, twirp.NotFound):",
				New: "\tcase errors.As(err, new(tooMany)):\n\t\treturn reconcile.ParticipantList{}, nil\n\tcase fromLiveKit(err, twirp.NotFound):"},
		}, sees: `^invariant [56]:`},
	{name: "a-conflict-keeps-the-claim", what: "an owner whose version Redis does not have goes on with its own state",
		nemeses: []string{"flaky-redis", "rollback-redis"},
		edits: []patch.Edit{{File: "actors/room.go",
			Old: "\tr.env.observer.Refused(err)\n\tr.claimed = false\n", New: "\tr.env.observer.Refused(err)\n"}},
		sees: `^invariant 7: .* rooms are wrong`},
	{name: "one-lane-for-all-shards", what: "the commits of all shards wait for each other",
		nemeses: []string{"shard-hang"},
		edits:   []patch.Edit{{File: "internal/redisstore/batch.go", Old: "name := b.lane(ctx, r)", New: `name := ""`}},
		sees:    `^invariant 4: .* is on another shard`},
	{name: "scripts-are-loaded-only-once", what: "a node does not load its scripts again, into the replica that has taken over (it loads them for 8 s after its start)",
		nemeses: []string{"shard-failover"},
		edits: []patch.Edit{
			{File: "internal/redisstore/send.go", Old: "\t\tif unloaded(cmds[i].Err()) {", New: "\t\tif unloaded(cmds[i].Err()) && time.Since(begun) < 8*time.Second {"},
			{File: "internal/redisstore/send.go", Old: "\t\"fmt\"\n", New: "\t\"fmt\"\n\t\"time\"\n"},
			{File: "internal/redisstore/send.go", Old: "// run is one run of a script", New: "var begun = time.Now()\n\n// run is one run of a script"},
		}, sees: `^invariant 7: .* rooms are wrong`},
	{name: "no-redirects", what: "a shard's answer that a slot has moved is an error",
		nemeses: []string{"reshard"},
		edits:   []patch.Edit{{File: "internal/redisstore/store.go", Old: "\to.MaxRetries = -1\n", New: "\to.MaxRetries, o.MaxRedirects = -1, -1\n"}},
		sees:    `^invariant 4:`},
	{name: "goes-through-no-other-node", what: "a webhook whose way to the room's owner is cut does not go through another node",
		nemeses: []string{"partition-pair"},
		edits:   []patch.Edit{{File: "internal/rpc/peer.go", Old: "if !errors.Is(err, errLost) || isWork(req) {", New: "if true {"}},
		sees:    `^invariant 4:`},
	{name: "older-data-is-not-noticed", what: "a cluster whose data is older than its own claims in Redis goes on with its generation and its epochs",
		nemeses: []string{"restore-all"},
		edits: []patch.Edit{
			{File: "cluster/restored.go", Old: "\tif highest <= state.View.Epoch {\n", New: "\tif highest <= state.View.Epoch || true {\n"},
			{File: "cluster/restored.go", Old: "\tif !c.outranks(n.fsm.State()) {\n\t\treturn nil // this", New: "\tif true {\n\t\treturn nil // this"},
		},
		sees: `^invariant 7: `},
	{name: "new-addresses-are-not-recorded", what: "a node that comes back with another address is not contacted there",
		nemeses: []string{"new-addresses"},
		edits: []patch.Edit{{File: "cluster/moved.go",
			Old: "\tn.endpoint.book.note(s.ID, s.Address, raft.ServerAddress(h.Addr))\n", New: ""}},
		sees: `^invariant 7: .* nodes are ready`},
	{name: "nobody-gets-a-vote", what: "a node that joins never gets the vote of the one that it replaces",
		nemeses: []string{"rollout-without-volumes"},
		edits: []patch.Edit{{File: "cluster/membership.go",
			Old: "\tif change.id == \"\" {\n", New: "\tif change.id == \"\" || change.promote {\n"}},
		sees: `^invariant 0: .* is not ready`},
	{name: "no-limit-by-what-completes", what: "webhooks in flight are limited neither by what a node completes in a second nor by the wait for a processor",
		nemeses: []string{"overload"}, hold: time.Minute,
		edits: []patch.Edit{{File: "internal/httpapi/semaphore.go",
			Old: "p.taken >= p.limit || p.bound > 0 && p.taken >= p.bound", New: "p.taken >= p.limit"}},
		sees: `^invariant 0: (less is done|what cannot be done|attempts that ended|the leader changed|the memory)`},
}
