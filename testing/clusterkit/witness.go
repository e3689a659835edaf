package clusterkit

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/redistest"
)

const fenceKey = "rooms:fence:"

// Witness follows everything that Redis does (MONITOR), in Redis' own order: it sees each script that claims or commits, by
// which claim it came, and what it really wrote. It is the proof that nothing landed after a newer claim.
type Witness struct {
	addr string
	end  context.CancelFunc
	done chan struct{}

	mu sync.Mutex
	// again: the connection was lost, so a room's claim may have changed unseen.
	again    bool
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
	leader  [2]uint64 // the token, generation and index, of the last sync or cleanup that removed something
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
	w, err := Watch(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// Watch begins to follow the server at addr, host:port, until Close. When the server goes away it waits for it to come back, and
// judges each room from the first claim or commit on that it then sees. Errors: those of the first connection.
func Watch(addr string) (*Witness, error) {
	conn, lines, err := monitor(addr)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	w := &Witness{addr: addr, end: end, done: make(chan struct{}), rooms: map[string]*fence{}}
	go w.follow(ctx, conn, lines)
	return w, nil
}

// Close ends it and waits for its end.
func (w *Witness) Close() {
	w.end()
	<-w.done
}

func monitor(addr string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, err = conn.Write([]byte("MONITOR\r\n"))
	lines := bufio.NewReaderSize(conn, 1<<20)
	said := ""
	if err == nil {
		said, err = lines.ReadString('\n')
	}
	if err == nil && !strings.HasPrefix(said, "+OK") {
		err = fmt.Errorf("MONITOR: %q", said)
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, lines, conn.SetDeadline(time.Time{})
}

func (w *Witness) follow(ctx context.Context, conn net.Conn, lines *bufio.Reader) {
	defer close(w.done)
	for {
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		w.read(lines)
		stop()
		_ = conn.Close()
		if ctx.Err() != nil {
			return
		}
		w.lost()
		var err error
		for conn, lines, err = monitor(w.addr); err != nil; conn, lines, err = monitor(w.addr) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// lost forgets what may have changed unseen.
func (w *Witness) lost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again, w.rooms, w.script = true, map[string]*fence{}, script{}
}

func (w *Witness) read(lines *bufio.Reader) {
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
	case strings.EqualFold(args[0], "flushall"):
		w.ended()
		w.rooms = map[string]*fence{}
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
	if w.again && f.claim == (claim{}) {
		f.claim = s.claim
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
	case field == "lgen" && len(args) > 5:
		leader := [2]uint64{number(args[3]), number(args[5])}
		if slices.Compare(leader[:], f.leader[:]) < 0 {
			w.problem("room %q: the leader %v acted after the leader %v", s.room, leader, f.leader)
		}
		f.leader = leader
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
