package clusterkit

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rollcallhq/rollcall/testing/redistest"
)

const fenceKey = "rooms:fence:"

// Witness follows everything that Redis does (MONITOR), in Redis' own order: it sees each script that claims or commits, by
// which claim it came, and what it really wrote. It is the proof that nothing landed after a newer claim.
type Witness struct {
	conn net.Conn
	done chan struct{}

	mu       sync.Mutex
	rooms    map[string]*fence
	script   script
	problems []string
	claims   int
	writes   int
	stale    int
}

// claim is an owner's: generation, epoch, incarnation.
type claim [3]uint64

// before tells whether a newer claim than this may be known, by generation and epoch alone.
func (c claim) before(other claim) bool {
	return cmp.Or(cmp.Compare(c[0], other[0]), cmp.Compare(c[1], other[1])) < 0
}

// fence is a room's newest claim and version as they landed.
type fence struct {
	claim   claim
	version uint64
}

// script is the one that runs: its room, and by which claim it came.
type script struct {
	room  string
	claim claim
	wrote bool
}

// watchRedis begins to follow a server, until the test ends.
func watchRedis(t testing.TB, server *redistest.Server) *Witness {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	w := &Witness{conn: conn, done: make(chan struct{}), rooms: map[string]*fence{}}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReaderSize(conn, 1<<20)
	if said, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(said, "+OK") {
		t.Fatalf("MONITOR: %q %v", said, err)
	}
	go w.follow(lines)
	t.Cleanup(func() {
		_ = conn.Close()
		<-w.done
	})
	return w
}

func (w *Witness) follow(lines *bufio.Reader) {
	defer close(w.done)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		from, args := parseMonitor(line)
		w.mu.Lock()
		w.see(from, args)
		w.mu.Unlock()
	}
}

// parseMonitor reads a line such as: +1700000000.123456 [0 lua] "HSET" "key" "field" "value".
func parseMonitor(line string) (from string, args []string) {
	head, rest, ok := strings.Cut(line, "] ")
	if !ok {
		return "", nil
	}
	from = head[strings.LastIndexByte(head, ' ')+1:]
	rest = strings.TrimRight(rest, "\r\n")
	for rest != "" {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return from, args
		}
		// What cannot be unquoted is a value that nobody here looks at.
		arg, err := strconv.Unquote(quoted)
		if err != nil {
			arg = quoted
		}
		args = append(args, arg)
		rest = strings.TrimPrefix(rest[len(quoted):], " ")
	}
	return from, args
}

func (w *Witness) see(from string, args []string) {
	switch {
	case len(args) == 0:
	case from != "lua":
		w.ended()
		w.began(args)
	default:
		w.acted(args)
	}
}

// began notes a script of a room: claim.lua has three keys, commit.lua four, and the claim follows them.
func (w *Witness) began(args []string) {
	name := strings.ToLower(args[0])
	if name != "evalsha" && name != "eval" || len(args) < 4 {
		return
	}
	keys, err := strconv.Atoi(args[2])
	if err != nil || keys < 3 || len(args) < 6+keys {
		return
	}
	room, ok := strings.CutPrefix(args[3], fenceKey)
	if !ok {
		return
	}
	w.script = script{room: room}
	for i := range w.script.claim {
		w.script.claim[i] = number(args[3+keys+i])
	}
}

// ended looks back at a script that wrote nothing.
func (w *Witness) ended() {
	s := w.script
	w.script = script{}
	if f := w.rooms[s.room]; f != nil && !s.wrote && s.claim.before(f.claim) {
		w.stale++
	}
}

// acted judges a write of the running script.
func (w *Witness) acted(args []string) {
	if !writes(args) {
		return
	}
	s := &w.script
	if s.room == "" {
		return // another script's: an index, the generation
	}
	f := w.rooms[s.room]
	if f == nil {
		f = &fence{}
		w.rooms[s.room] = f
	}
	if s.claim.before(f.claim) {
		w.problem("room %q: %.120q by the claim %v landed after the claim %v", s.room, args, s.claim, f.claim)
	}
	s.wrote = true
	switch field := strings.Join(args[2:min(3, len(args))], ""); {
	case !strings.EqualFold(args[0], "HSET") || args[1] != fenceKey+s.room:
	case field == "gen":
		if !f.claim.before(s.claim) && f.claim != s.claim {
			w.problem("room %q: the claim %v stands beside the claim %v", s.room, s.claim, f.claim)
		}
		w.claims++
		f.claim = s.claim
	case field == "version":
		version := number(args[3])
		if s.claim != f.claim || version <= f.version {
			w.problem("room %q: version %d by the claim %v follows version %d by %v", s.room, version, s.claim, f.version, f.claim)
		}
		w.writes++
		f.version = version
	}
}

// writes tells whether a command may change a key.
func writes(args []string) bool {
	switch strings.ToUpper(args[0]) {
	case "HSET", "SET", "DEL", "XADD":
		return len(args) > 1
	}
	return false
}

func (w *Witness) problem(format string, args ...any) {
	if len(w.problems) < 10 {
		w.problems = append(w.problems, fmt.Sprintf(format, args...))
	}
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// Testimony is what a Witness saw so far.
type Testimony struct {
	// Claims and Writes count those that landed, Stale the scripts of an older claim than the room's newest: Redis refused them.
	Claims, Writes, Stale int
	// Problems are writes that landed and must not have; ten at most.
	Problems []string
}

// Testimony is what was seen so far.
func (w *Witness) Testimony() Testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Testimony{w.claims, w.writes, w.stale, append([]string(nil), w.problems...)}
}
