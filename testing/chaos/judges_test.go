package chaos

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// epoch returns a time on the scale of these tests' histories.
func epoch(second int) time.Time { return time.Unix(1_800_000_000+int64(second), 0) }

func entry(second int, kind, sid string) redis.XMessage {
	return redis.XMessage{ID: fmt.Sprintf("%d-0", epoch(second).UnixMilli()), Values: map[string]any{"room": "r", "type": kind, "sid": sid, "data": "null"}}
}

// part returns one of several entries of a commit.
func part(second, n, of int, kind, sid string) redis.XMessage {
	e := entry(second, kind, sid)
	e.Values["n"], e.Values["of"] = fmt.Sprint(n), fmt.Sprint(of)
	return e
}

// TestPresence compares who is in the feed with who was really there.
func TestPresence(t *testing.T) {
	left := map[string]stay{"PA_1": {Room: "r", From: epoch(0), To: epoch(10)}}
	there := map[string]stay{"PA_1": {Room: "r", From: epoch(0)}}
	for name, c := range map[string]struct {
		stays map[string]stay
		feed  []redis.XMessage
		want  string
	}{
		"right":              {left, []redis.XMessage{entry(1, "participant_joined", "PA_1"), entry(11, "participant_left", "PA_1")}, ""},
		"late, and then out": {left, []redis.XMessage{entry(20, "participant_joined", "PA_1"), entry(21, "participant_left", "PA_1")}, ""},
		"removed":            {there, []redis.XMessage{entry(1, "participant_joined", "PA_1"), entry(2, "participant_left", "PA_1")}, "taken out while it was there"},
		"removed too early":  {left, []redis.XMessage{entry(1, "participant_joined", "PA_1"), entry(2, "room_finished", "")}, "taken out while it was there"},
		"gone by a snapshot": {there, []redis.XMessage{entry(1, "participant_joined", "PA_1"), entry(2, "room_snapshot", "")}, "taken out while it was there"},
		"back": {left, []redis.XMessage{entry(1, "participant_joined", "PA_1"), entry(11, "participant_left", "PA_1"),
			entry(12, "participant_joined", "PA_1")}, "came back"},
		"along to the next instance": {left, []redis.XMessage{entry(1, "participant_joined", "PA_1"), part(11, 1, 2, "room_updated", ""),
			part(11, 2, 2, "participant_left", "PA_1")}, ""},
		"along, reported as left and joined": {left, []redis.XMessage{entry(1, "participant_joined", "PA_1"), part(11, 1, 4, "participant_left", "PA_1"),
			part(11, 2, 4, "room_finished", ""), part(11, 3, 4, "room_started", ""), part(11, 4, 4, "participant_joined", "PA_1")}, "reported as left and joined"},
		"not along to the next instance": {there, []redis.XMessage{entry(1, "participant_joined", "PA_1"), part(11, 1, 3, "participant_left", "PA_1"),
			part(11, 2, 3, "room_finished", ""), part(11, 3, 3, "room_started", "")}, "taken out while it was there"},
		"a ghost": {left, []redis.XMessage{entry(1, "participant_joined", "PA_2")}, "was never there"},
	} {
		got := strings.Join(presence(c.feed, c.stays), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestEarly checks that the feed may finish a room that has ended, but not one that lives or ends later.
func TestEarly(t *testing.T) {
	finish := func(sid string) redis.XMessage { return entry(10, "room_finished", sid) }
	ends := map[string]time.Time{"RM_1": epoch(9), "RM_2": {}, "RM_3": epoch(11)}
	for sid, bad := range map[string]bool{"RM_1": false, "RM_2": true, "RM_3": true} {
		if got := early([]redis.XMessage{entry(1, "room_started", sid), finish(sid)}, ends); (len(got) > 0) != bad {
			t.Errorf("%s: %q", sid, got)
		}
	}
}

// TestStuck checks that a wrong room with a late webhook since the cycle is not stuck, and that one missing from Redis is.
func TestStuck(t *testing.T) {
	d := difference{wrong: map[string]string{"ghost": "", "late": "", "missing": ""},
		written: map[string]time.Time{"ghost": epoch(4), "late": epoch(6), "right": epoch(6)}}
	got := d.stuck(epoch(5))
	slices.Sort(got)
	if want := []string{"ghost", "missing"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestDue checks that a room that a webhook was about must be right by a cycle that began livekitLag later, and any other room by
// the first.
func TestDue(t *testing.T) {
	d := difference{told: map[string]time.Time{"told": epoch(4)}}
	if got := d.due("told"); got != epoch(4).Add(livekitLag) {
		t.Errorf("told: %v", got)
	}
	if got := d.due("untold"); !got.IsZero() {
		t.Errorf("untold: %v", got)
	}
}

// TestMail checks that a fault's webhooks are those first sent in its time, and that a failed one is named.
func TestMail(t *testing.T) {
	webhooks := []clusterkit.Webhook{
		{ID: "EV_1", First: epoch(1), Failed: []int{503}, Answered: epoch(2)}, // before the fault
		{ID: "EV_2", First: epoch(3), Answered: epoch(4)},
		{ID: "EV_3", Event: "participant_left", Room: "r", First: epoch(4), Failed: []int{0, 502}, Answered: epoch(7)},
		{ID: "EV_4", First: epoch(9), Failed: []int{0}}, // in the lead-in of the next fault, which hit it
	}
	got := mail(webhooks, epoch(2), epoch(8))
	want := Mail{Sent: 2, Retried: 1, Statuses: map[int]int{0: 1, 502: 1}, Median: 3, Longest: 3,
		Example: "participant_left EV_3 of r, first sent 2.0 s into it, attempts that failed: [0 502]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTruth(t *testing.T) {
	tr := newTruth()
	tr.fate(fakelivekit.Event{Name: "participant_joined", Room: "r", Identity: "ada", Sid: "PA_1"})
	tr.fate(fakelivekit.Event{Name: "participant_joined", Room: "r", Identity: "alan", Sid: "PA_2"})
	tr.fate(fakelivekit.Event{Name: "participant_left", Room: "r", Identity: "ada", Sid: "PA_1"})
	if all := tr.all(); all["PA_1"].To.IsZero() || !all["PA_2"].To.IsZero() || all["PA_2"].Identity != "alan" {
		t.Errorf("%+v", all)
	}
	tr.order(func(fakelivekit.Event) fakelivekit.Fate { return fakelivekit.Fate{Drop: true} })
	if !tr.fate(fakelivekit.Event{Name: "room_started", Room: "s"}).Drop {
		t.Error("the order was not followed")
	}
	tr.crashed()
	if tr.all()["PA_2"].To.IsZero() || len(tr.changes()) != 2 {
		t.Errorf("after a crash: %+v", tr.all())
	}
	tr.fate(fakelivekit.Event{Name: "room_started", Room: "r", RoomSid: "RM_1"})
	tr.fate(fakelivekit.Event{Name: "participant_joined", Room: "s", RoomSid: "RM_2", Identity: "ada", Sid: "PA_3"})
	tr.fate(fakelivekit.Event{Name: "room_finished", Room: "r", RoomSid: "RM_1"})
	if ends := tr.roomEnds(); ends["RM_1"].IsZero() || !ends["RM_2"].IsZero() {
		t.Errorf("RM_1 has ended and RM_2 has not: %v", ends)
	}
}

// TestLag checks that everything arrives, in order and late.
func TestLag(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		if conn, err := echo.Accept(); err == nil {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	p, err := newLag("127.0.0.1", echo.Addr().String(), 20*time.Millisecond, 10*time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begun := time.Now()
	sent := bytes.Repeat([]byte("all in order "), 5000)
	go func() { _, _ = conn.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got something else: %v", err)
	}
	if took := time.Since(begun); took < 40*time.Millisecond {
		t.Errorf("there and back in %v", took)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(got); err == nil {
		t.Error("the connection outlived the proxy")
	}
}

// TestPage checks that a report with one of everything becomes one page.
func TestPage(t *testing.T) {
	r := newReport(Options{Seed: 7, Nodes: 3, Rooms: 200, Rate: 60})
	r.Took = 60
	r.Faults = []*Fault{{Name: "kill-leader", What: "kill -9 n1 <b>", From: 5, Healed: 13, Right: 16}, {Name: "never", From: 20, Healed: 28}}
	r.Violations = []Violation{{At: 30, Invariant: 7, During: "never", Text: "room-0001 is wrong"}}
	for i := range 120 {
		r.Samples = append(r.Samples, Sample{At: float64(i) / 2, Leader: []string{"n1", "", "n2"}[i/40], Ready: 3, OK: 30, Failed: i % 7, Wrong: i % 5, Rooms: 200, Unread: i%30 == 0})
	}
	var page bytes.Buffer
	if err := r.page(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 violations", "kill -9 n1 &lt;b&gt;", "nobody leads", "room-0001 is wrong", "seed 7"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// TestDraw checks that the second nemesis of a combination is allowed in this world and is of another kind.
func TestDraw(t *testing.T) {
	w := &World{t: t, opts: Options{Nodes: 5}, report: newReport(Options{})}
	if _, err := w.choose(); err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		if n := w.draw(dice, "network"); n.Do == nil || n.Kind == "network" || n.Kind == "mix" || n.Joins || n.Forgets || n.Sentinel {
			t.Fatalf("drew %q", n.Name)
		}
	}
}

// TestReadme checks that the README describes every nemesis.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range All() {
		if !strings.Contains(string(text), fmt.Sprintf("| `%s` | %s |", n.Name, n.Doc)) {
			t.Errorf("README.md has no line | `%s` | %s |", n.Name, n.Doc)
		}
	}
}
