package browser

import (
	"bytes"
	"errors"
	"net"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// refused are complaints of the browser about answers that a fault provokes.
var refused = []string{"503", "ERR_"}

// portrait takes pictures of a state in both themes and at both widths.
func portrait(b *browsertest.Tab, name string) {
	for _, width := range []int64{1280, 360} {
		b.Resize(width)
		for _, theme := range []string{"light", "dark"} {
			b.Prefer("prefers-color-scheme", theme)
			b.Snap("trouble-" + name + "-" + size(width) + "-" + theme)
		}
	}
	b.Resize(1280)
}

// status runs `rollcall status` and returns its exit code and output.
func status(t *testing.T, url string, args ...string) (code int, text string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rollcall.get(t), append([]string{"status", "--addr=" + url}, args...)...)
	cmd.Env = []string{"HOME=/nonexistent"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// checks runs `rollcall status --check` and compares its exit code, and parts of its output.
func checks(t *testing.T, url string, code int, parts ...string) {
	t.Helper()
	got, text := status(t, url, "--check")
	for _, part := range parts {
		if got != code || !strings.Contains(text, part) {
			t.Errorf("rollcall status --check: exit %d, want %d with %q:\n%s", got, code, part, text)
		}
	}
}

func (p *place) liveKitDown() { p.api.Close() }

func (p *place) liveKitUp() {
	p.t.Helper()
	again := httptest.NewUnstartedServer(p.livekit)
	_ = again.Listener.Close()
	var err error
	if again.Listener, err = net.Listen("tcp", strings.TrimPrefix(p.api.URL, "http://")); err != nil {
		p.t.Fatal(err)
	}
	again.Start()
	p.api = again
}

// TestLiveKitDown checks that everybody hears that LiveKit does not answer, and that nothing is removed.
func TestLiveKitDown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.join("standup", "ada")
	b := open(t, p.URL(), 1280)
	b.Await(`seen("All present.") && live()`)
	checks(t, p.URL(), 0, "Redis         answers\n", "LiveKit       answered ")
	p.liveKitDown()
	b.Press("Sync now")
	b.Await(`seen("Sync failed\nLiveKit does not answer. Nothing is removed; Redis keeps the last answer.") && seen("One thing needs you.") && seen("LiveKit does not answer\nNothing is removed; Redis keeps the last answer. Check LiveKit and --livekit-host.")`)
	b.Await(`seen("Rooms compared\nNone\nLiveKit does not answer") && !seen("Sync done") && !seen("all matched") && !seen("The last sync had")`)
	const clock = `\d\d:\d\d:\d\d \(\d+ s\)\.`
	b.Await(`/--livekit-host\. Since ` + clock + ` The last good sync began at ` + clock + ` The reason: /.test(document.querySelector(".problems").innerText) && /took .*, by hand; the last good one began at \d\d:/.test(panel("Sync").innerText)`)
	portrait(b, "livekit-down")
	p.holds("standup", "ada")
	checks(t, p.URL(), 1, "LiveKit       DOES NOT ANSWER since ", "Z (", "): nothing is removed; Redis keeps the last answer.", "no room was compared", "  last good sync ", "rollcall: LiveKit does not answer\n")
	if err := p.Says("level=WARN", "LiveKit does not answer: nothing is removed, and Redis keeps the last answer. Check LiveKit and --livekit-host"); err != nil {
		t.Error(err)
	}
	p.join("standup", "hedy") // LiveKit's webhooks go on
	b.Await(`seen("hedy joined standup")`)
	p.redis.Restart(false)
	b.Await(`seen("LiveKit does not answer\nNothing is removed; Redis keeps") && !/Redis does/.test(all(".problems").map((e) => e.innerText).join())`)
	b.Press("Sync now")
	const empty = "Nothing is removed; Redis holds no room now, and the live ones come back with the first good sync."
	b.Await(`seen("Sync failed\nLiveKit does not answer. " + a) && seen("One thing needs you.") && seen("LiveKit does not answer\n" + a) && !seen("keeps the last answer")`, empty)
	portrait(b, "livekit-down-redis-empty")
	checks(t, p.URL(), 1, "): nothing is removed; Redis holds no room now, and the live ones come back with the first good sync. Check LiveKit")
	if err := p.Says("level=WARN", "LiveKit does not answer: nothing is removed, and Redis holds no room now; the live ones come back with the first good sync. Check LiveKit"); err != nil {
		t.Error(err)
	}
	p.liveKitUp()
	b.Press("Sync now")
	b.Await(`seen("All present.") && seen("Sync done\n") && seen("1 differed")`)
	p.holds("standup", "ada", "hedy")
	checks(t, p.URL(), 0, "LiveKit       answered ")
	if err := p.Says("level=INFO", "the sync has ended, and LiveKit and Redis answered again"); err != nil {
		t.Error(err)
	}
}

// TestRedisDown checks that the view of a room notices that Redis is away, or hangs, and that everybody hears what that means.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.join("standup", "ada")
	b := open(t, p.URL()+"/#/rooms/standup", 1280, refused...)
	b.Await(agrees + ` && live() && seen("1 participant")`)
	const down = `seen("Redis does not answer\nWebhooks get 503, which LiveKit retries for about 15 s; the first sync after that repairs what was missed. Check Redis and --redis-url.")`
	for name, fault := range map[string][2]func(){"killed": {p.redis.Kill, func() { p.redis.Restart(true) }}, "hung": {p.redis.Pause, p.redis.Resume}} {
		begun := time.Now()
		fault[0]()
		b.Await(down + ` && seen("ada") && seen("Redis cannot be read now. This is what the page last read from it.")`)
		t.Logf("%s: noticed after %v", name, time.Since(begun).Round(10*time.Millisecond))
		portrait(b, "redis-"+name+"-room")
		fault[1]()
		b.Await(`!seen("Redis does not answer") && ` + agrees)
	}
	p.redis.Kill()
	b.Eval(`location.hash = "#/"`)
	b.Await(down + ` && seen("One thing needs you.")`)
	b.Press("Sync now")
	b.Await(`seen("Sync failed\nRedis did not answer. No room was compared.") && seen("Rooms compared\nNone\nRedis did not answer") && seen("One thing needs you.")`)
	b.Await(`!/emove/.test(all(".problems").map((e) => e.innerText).join())`)
	portrait(b, "redis-down")
	checks(t, p.URL(), 1, "Redis         DOES NOT ANSWER", ": webhooks get 503, which LiveKit retries for about 15 s.", "Redis         DOES NOT ANSWER since ", "rollcall: Redis does not answer\n")
	if err := p.Says("level=WARN", "Redis does not answer: webhooks get 503, which LiveKit retries for about 15 s"); err != nil {
		t.Error(err)
	}
	p.redis.Restart(true)
	b.Await(`seen("Redis answers again.\nThe next sync compares the rooms with LiveKit and repairs what was missed.")`)
	portrait(b, "redis-back")
	b.Press("Sync now")
	b.Await(`seen("All present.")`)
	checks(t, p.URL(), 0, "Redis         answers\n")
}

// TestTroubles checks the sentences of states that are hard to bring about with real servers.
func TestTroubles(t *testing.T) {
	t.Parallel()
	redis := func(state string) func(*fake) {
		return func(f *fake) { f.status["redis"] = object{"state": state, "error": "why it fails"} }
	}
	livekit := func(state string) func(*fake) {
		return func(f *fake) {
			f.status["livekit"] = object{"state": state, "error": "why it fails"}
			last := f.status["lastSync"].(object)
			last["result"], last["firstError"], last["fault"] = object{"synced": 0, "errors": 1, "cleaned": 0}, "why it fails", "livekit_"+state
		}
	}
	leaderless := func(more ...func(*fake)) func(*fake) {
		return func(f *fake) {
			f.status["leader"], f.cluster["leader"] = "", ""
			for _, change := range more {
				change(f)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*fake)
		want   string
	}{
		"redis refuses":       {redis("refuses"), "One thing needs you.\nRedis takes no commits\nWebhooks get 503,"},
		"redis partly":        {redis("partial"), "One thing needs you.\nRedis answers in part\nThis concerns the rooms of some of its masters. Webhooks get 503,"},
		"livekit refuses":     {livekit("refuses"), "One thing needs you.\nLiveKit refuses the API key\nNothing is removed; Redis keeps the last answer. Compare --livekit-api-key"},
		"livekit limited":     {livekit("limited"), "One thing needs you.\nLiveKit allows no more requests now\nNothing is removed; Redis keeps the last answer. Lower --livekit-rate"},
		"an election":         {leaderless(), "The cluster has no leader\nNo sync or cleanup runs until one is elected"},
		"an election at last": {leaderless(), "One thing needs you.\nThe cluster has no leader\n"},
		"no quorum": {leaderless(func(f *fake) { f.member(0)["state"], f.member(1)["state"] = "unreachable", "away" }),
			"One thing needs you.\nThe cluster has no leader: bring back n1 or n2\n1 of 3 voters can be reached, and 2 must be."},
		"no quorum, no redis": {leaderless(redis("silent"), func(f *fake) { f.member(0)["state"], f.member(1)["state"] = "unreachable", "away" }),
			"2 things need you.\nRedis does not answer\n"},
		"no voter but this one": {leaderless(func(f *fake) { f.member(0)["voter"], f.member(1)["state"] = false, "away" }),
			"One thing needs you.\nThe cluster has no leader: bring back n2\n1 of 2 voters can be reached, and 2 must be."},
		"several causes": {func(f *fake) { redis("silent")(f); livekit("silent")(f) }, "2 things need you.\nRedis does not answer\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, newFake(t, c.change).URL, 1280)
			for part := range strings.SplitSeq(c.want, " you.\n") { // how many people there are comes between them
				b.Await(`seen(a) && seen("Rooms compared\nNone") === b`, part, strings.Contains(name, "livekit") || name == "several causes")
			}
			if readable := browsertest.Eval[bool](b, `seen("Rooms can be read as Redis holds them.")`); readable != (name == "no quorum" || name == "no voter but this one") {
				t.Errorf("rooms can be read: %v", readable)
			}
		})
	}
}

// TestFaultsOfActions checks what the page and the indicator say of actions and syncs that compared nothing, or not all.
func TestFaultsOfActions(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	b.Await(loaded)
	for want, answer := range map[string]object{
		"Sync failed\nLiveKit refuses the API key. Nothing is removed; Redis keeps the last answer.\nFirst error: why": {"result": object{"synced": 0, "errors": 1, "cleaned": 0},
			"firstError": "why", "fault": "livekit_refuses"},
		"Sync incomplete\n3 rooms compared, 2 errors, 0 removed;": {"result": object{"synced": 3, "errors": 2, "cleaned": 0}, "firstError": "why"},
	} {
		f.with(func() { f.answers["sync"] = answer })
		b.Press("Sync now")
		b.Await("seen(a)", want)
	}
	f.with(func() { f.answers["cleanup"] = object{"cleaned": 0, "firstError": "no Redis", "fault": "redis_silent"} })
	b.Press("Cleanup")
	b.Await(`seen("Cleanup failed\nRedis did not answer. No room was compared.\nFirst error: no Redis")`)
	f.with(func() { f.answers["cleanup"] = object{"cleaned": 1, "firstError": "no Redis"} })
	b.Press("Cleanup")
	b.Await(`seen("Cleanup incomplete\n1 removed;")`)
	f.with(func() {
		f.status["lastSync"].(object)["fault"] = "livekit_silent"
		f.answers["sync"]["fault"] = "livekit_silent"
	})
	i := open(t, app(t, f, true), 1280, "favicon")
	i.Await(inside + `.text.includes("s ago: LiveKit did not answer; nothing was removed")`)
	i.Eval(inside + `.button("Sync now").click()`)
	i.Await(inside + `.text.includes("Failed: LiveKit did not answer; nothing was removed")`)
	f.with(func() { f.answers["sync"]["fault"] = "livekit_limited" })
	i.Eval(inside + `.button("Sync now").click()`)
	i.Await(inside + `.text.includes("Failed: LiveKit allowed no more requests; nothing was removed")`)
	i.Eval(inside + `.button("Cleanup").click()`)
	i.Await(inside + `.text.includes("Cleanup incomplete: 1 removed")`)
}

// newCluster starts three nodes whose connections to Redis lead through valves.
func newCluster(t *testing.T) (*clusterkit.Cluster, map[string]*clusterkit.Valve) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real servers")
	}
	valves := map[string]*clusterkit.Valve{}
	c := clusterkit.New(t, clusterkit.Options{Binary: rollcall.get(t), FlagsOf: func(id string) []string {
		valves[id] = clusterkit.NewValve(t)
		return []string{"--redis-url=redis://" + valves[id].Addr()}
	}})
	for _, v := range valves {
		v.Turn(false, c.Redis.Addr)
	}
	c.Found()
	c.LiveKit.Join("standup", fakelivekit.Who{Identity: "ada"})
	return c, valves
}

// TestRedisDownForSome checks that Redis is named, and no node is to be removed, when one node or all nodes lose it.
func TestRedisDownForSome(t *testing.T) {
	t.Parallel()
	c, valves := newCluster(t)
	cut := c.Follower()
	other := c.Leader()
	there, here := open(t, other.URL(), 1280, refused...), open(t, cut.URL(), 1280, refused...)
	for _, b := range []*browsertest.Tab{there, here} {
		b.Await(`seen("All present.") && live() && seen("3 of 3 ready")`)
	}
	valves[cut.ID].Turn(true, c.Redis.Addr)
	for _, b := range []*browsertest.Tab{there, here} {
		b.Await(`seen("One thing needs you.") && seen(a + " cannot write to Redis; the others can\nThe others have taken over the rooms, and webhooks go on.") && !/emove/.test(all(".problems").map((e) => e.innerText).join()) && seen("2 of 3 ready")`, cut.ID)
		b.Await(`panel("Cluster").innerText.includes("Redis takes no commits at")`)
	}
	portrait(there, "redis-cut-there")
	portrait(here, "redis-cut-here")
	checks(t, other.URL(), 0, "Redis         answers\n")
	checks(t, cut.URL(), 1, "rollcall: Redis does not answer\n")
	if out, err := c.Command(other, "cluster"); err != nil || !strings.Contains(out, "takes no commits of "+cut.ID+": other nodes take over its work, and it comes back by itself") {
		t.Errorf("rollcall cluster: %v\n%s", err, out)
	}
	valves[cut.ID].Turn(false, c.Redis.Addr)
	for _, b := range []*browsertest.Tab{there, here} {
		b.Await(`seen("All present.") && seen("3 of 3 ready")`)
	}
	c.Redis.Kill()
	for _, b := range []*browsertest.Tab{there, here} {
		b.Await(`seen("One thing needs you.") && seen("Redis does not answer\nWebhooks get 503, which LiveKit retries for about 15 s;") && seen("0 of 3 ready") && !/emove/.test(all(".problems").map((e) => e.innerText).join())`)
	}
	portrait(there, "redis-down-for-all")
	c.Redis.Restart(true)
	for _, b := range []*browsertest.Tab{there, here} {
		b.Await(`seen("All present.") && seen("3 of 3 ready")`)
	}
}

// TestQuorumLost checks that the page names the nodes that must come back, and that what it says still works does.
func TestQuorumLost(t *testing.T) {
	t.Parallel()
	c, _ := newCluster(t)
	stays := c.Follower()
	b := open(t, stays.URL(), 1280, refused...)
	b.Await(`seen("All present.") && live() && seen("3 of 3 ready")`)
	var gone []*nodetest.Node
	for _, n := range c.Nodes {
		if n != stays {
			gone = append(gone, n)
			n.Kill()
		}
	}
	b.Await(`seen("One thing needs you.") && seen("The cluster has no leader: bring back " + a + " or " + b + "\n1 of 3 voters can be reached, and 2 must be. Until then webhooks get 503, no sync runs, and no node can join or leave.")`,
		gone[0].ID, gone[1].ID)
	portrait(b, "quorum-lost")
	missing := "1 of 3 voters can be reached, and 2 must be: bring back " + gone[0].ID + " or " + gone[1].ID + ". "
	checks(t, stays.URL(), 1, "Leader        NONE: "+missing, "rollcall: The cluster has no leader\n")
	if out, err := c.Command(stays, "cluster"); err != nil || !strings.Contains(out, "NO LEADER: "+missing) {
		t.Errorf("rollcall cluster: %v\n%s", err, out)
	}
	c.Await("the log names them", func() error {
		return stays.Says("not ready: this node answers webhooks with 503", "out of contact", "bring_back=\"["+gone[0].ID+" "+gone[1].ID+"]\"")
	})
	b.Eval(`location.hash = "#/rooms/standup"`)
	b.Await(`seen("ada", panel("Redis and LiveKit")) && seen("bring back")`)
	b.Eval(`location.hash = "#/"`)
	gone[0].Up()
	// The new leader's first sync may still have asked the node that is away.
	b.Await(`(seen("All present.") || seen("Not all compared.")) && seen("2 of 3 ready") && seen(a + " is away\nThe others have taken over its rooms.") && panel("Cluster").innerText.includes("Away")`, gone[1].ID)
	b.Press("Sync now")
	b.Await(`seen("All present.") && seen("Sync done\n")`)
	gone[1].Up()
	b.Await(`seen("All present.") && seen("3 of 3 ready") && !seen("is away")`)
}

// TestANodeThatComesBackIsNoAlarm restarts a node. The page says that it is away, and never that anything needs anybody.
func TestANodeThatComesBackIsNoAlarm(t *testing.T) {
	t.Parallel()
	c, _ := newCluster(t)
	away := c.Follower()
	b := open(t, c.Leader().URL(), 1280)
	b.Await(`seen("All present.") && live() && seen("3 of 3 ready")`)
	b.Eval(`(() => { setInterval(() => { if (/need/.test(document.querySelector("h1").textContent) || /^\(/.test(document.title)) window.alarmed = document.body.innerText; }, 10); })()`)
	away.Kill()
	b.Await(`seen("All present.") && seen(a + " is away\nThe others have taken over its rooms. Started again, it comes back by itself.") && seen("2 of 3 ready")`, away.ID)
	portrait(b, "node-away")
	checks(t, c.Leader().URL(), 0, "Leader        "+c.Leader().ID)
	away.Up()
	b.Await(`seen("All present.") && seen("3 of 3 ready") && !seen("is away")`)
	if text := browsertest.Eval[string](b, `window.alarmed ?? ""`); text != "" && !c.Starved() {
		t.Errorf("the page raised an alarm:\n%s", text)
	}
}
