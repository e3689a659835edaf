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

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

const fenceKey = "rooms:fence:"

// Witness follows everything that Redis does (MONITOR), in Redis' own order. It sees each script that claims or commits, the
// claim it came with, and what it really wrote. It proves that no write landed after a newer claim.
type Witness struct {
	addr string
	end  context.CancelFunc
	done chan struct{}

	mu sync.Mutex
	// again is set when the connection was lost, so that a room's claim may have changed unseen.
	again    bool
	rooms    map[string]*fence
	scripts  map[string]*script // of the running script's rooms
	script   *script            // of the room that it is at, nil for none
	problems []string
	claims   int
	writes   int
	stale    int
}

// claim is an owner's claim: generation, epoch, incarnation.
type claim [3]uint64

// before reports whether c is older than other, by generation and epoch alone.
func (c claim) before(other claim) bool {
	return cmp.Or(cmp.Compare(c[0], other[0]), cmp.Compare(c[1], other[1])) < 0
}

// fence is the newest claim and version of a room that landed.
type fence struct {
	claim   claim
	version uint64
	leader  [2]uint64 // the token (generation and index) of the last sync or cleanup that removed something
}

// script is what the running script does to a room, and the claim it came with.
type script struct {
	room  string
	claim claim
	wrote bool
}

// watchRedis follows a server until the test ends.
func watchRedis(t testing.TB, server *redistest.Server) *Witness {
	t.Helper()
	w, err := Watch(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// Watch follows the server at addr, host:port, until Close. When the server goes away, the Witness waits until it is back, and
// then judges each room from the first claim or commit that it sees. Watch returns the errors of the first connection.
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

// Close stops the Witness and waits until it has ended.
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
		w.Forget()
		var err error
		for conn, lines, err = monitor(w.addr); err != nil; conn, lines, err = monitor(w.addr) {
			if wait.For(ctx, 20*time.Millisecond) != nil {
				return
			}
		}
	}
}

// Forget starts over: each room is judged from the first claim or commit that is seen after it. It is for rooms that move between
// servers.
func (w *Witness) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again, w.rooms, w.scripts, w.script = true, map[string]*fence{}, nil, nil
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

// parseMonitor parses a line such as: +1700000000.123456 [0 lua] "HSET" "key" "field" "value".
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
		// An argument that cannot be unquoted is a value that is not examined here.
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

// commitKeys is the number of keys of a commit in commits.lua.
const commitKeys = 6

// began records a script. commits.lua has six keys for each commit, and before the arguments of each their number; claim.lua has four keys.
// The claim comes first in both.
func (w *Witness) began(args []string) {
	name := strings.ToLower(args[0])
	if name != "evalsha" && name != "eval" || len(args) < 4 {
		return
	}
	count, err := strconv.Atoi(args[2])
	if err != nil || count < 3 || len(args) < 6+count {
		return
	}
	keys, args := args[3:3+count], args[3+count:]
	if count%commitKeys != 0 {
		w.script = w.runs(keys[0], args)
		return
	}
	for ; len(keys) >= commitKeys && len(args) > 3; keys = keys[commitKeys:] {
		of := int(number(args[0]))
		w.runs(keys[0], args[1:])
		args = args[min(len(args), 1+of):]
	}
}

// runs records a room's part of the script, whose arguments begin with a claim.
func (w *Witness) runs(key string, args []string) *script {
	room, ok := strings.CutPrefix(key, fenceKey)
	if !ok {
		return nil
	}
	s := &script{room: room}
	for i := range s.claim {
		s.claim[i] = number(args[i])
	}
	if w.scripts == nil {
		w.scripts = map[string]*script{}
	}
	w.scripts[room] = s
	return s
}

// ended checks which parts of the last script wrote nothing.
func (w *Witness) ended() {
	for room, s := range w.scripts {
		if f := w.rooms[room]; f != nil && !s.wrote && s.claim.before(f.claim) {
			w.stale++
		}
	}
	w.scripts, w.script = nil, nil
}

// acted judges a command of the running script. It reads a room's record before it writes to that room.
func (w *Witness) acted(args []string) {
	if len(args) > 1 && strings.EqualFold(args[0], "HMGET") {
		w.script = w.scripts[strings.TrimPrefix(args[1], fenceKey)]
	}
	s := w.script
	if s == nil || !writes(args) {
		return // of another script: an index, the generation
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
	if strings.EqualFold(args[0], "HSET") && args[1] == fenceKey+s.room {
		w.stored(s, f, args[2:])
	}
}

// stored judges the fields and values that were written to a record.
func (w *Witness) stored(s *script, f *fence, fields []string) {
	leader, led := [2]uint64{}, false
	for i := 0; i+1 < len(fields); i += 2 {
		value := number(fields[i+1])
		switch fields[i] {
		case "gen":
			if !f.claim.before(s.claim) && f.claim != s.claim {
				w.problem("room %q: the claim %v conflicts with the claim %v", s.room, s.claim, f.claim)
			}
			w.claims++
			f.claim = s.claim
		case "version":
			if i > 0 {
				continue // of a claim of a room without a record: no commit
			}
			if s.claim != f.claim || value <= f.version {
				w.problem("room %q: version %d by the claim %v follows version %d by %v", s.room, value, s.claim, f.version, f.claim)
			}
			w.writes++
			f.version = value
		case "lgen":
			leader[0], led = value, true
		case "lidx":
			leader[1] = value
		}
	}
	if !led {
		return
	}
	if slices.Compare(leader[:], f.leader[:]) < 0 {
		w.problem("room %q: the leader %v acted after the leader %v", s.room, leader, f.leader)
	}
	f.leader = leader
}

// writes reports whether a command may change a key.
func writes(args []string) bool {
	switch strings.ToUpper(args[0]) {
	case "HSET", "SET", "MSET", "DEL", "XADD":
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

// Testimony is what a Witness has seen so far.
type Testimony struct {
	// Claims and Writes count those that landed. Stale counts the scripts with a claim older than the room's newest, which Redis
	// refused.
	Claims, Writes, Stale int
	// Problems are writes that landed and should not have; ten at most.
	Problems []string
}

// Testimony returns what has been seen so far.
func (w *Witness) Testimony() Testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Testimony{w.claims, w.writes, w.stale, slices.Clone(w.problems)}
}
