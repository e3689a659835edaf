package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
)

// TestTheDoorsOfANodeThatIsAlone checks that a single node listens for HTTP and, on loopback, for its embedded Redis, which
// admits nobody without the password. The password is in a file that others cannot read, and is deleted with the node.
func TestTheDoorsOfANodeThatIsAlone(t *testing.T) {
	t.Parallel()
	_, env := alone(t)
	n := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), ID: "n1", Env: append(env, "ROLLCALL_ADMIN_TOKEN=a-token-of-the-operator")})
	n.Up()
	file := filepath.Join(n.Dir, "embedded-redis-url")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v, want mode 600", info, err)
	}
	url, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options, err := redis.ParseURL(strings.TrimSpace(string(url)))
	if err != nil {
		t.Fatal(err)
	}
	inside := redis.NewClient(options)
	defer inside.Close()
	if err := inside.Ping(t.Context()).Err(); err != nil {
		t.Errorf("by the URL of the file: %v", err)
	}
	outside := redis.NewClient(&redis.Options{Addr: options.Addr})
	defer outside.Close()
	for _, command := range [][]any{{"SET", "rooms:participants:x", "[]"}, {"GET", "rooms:index"}, {"FLUSHALL"}, {"EVAL", "return 1", 0}, {"KEYS", "*"}} {
		if err := outside.Do(t.Context(), command...).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
			t.Errorf("%v without a password: %v", command, err)
		}
	}
	if strings.Contains(string(n.Output()), options.Password) {
		t.Error("the log has the password")
	}
	got, want := listening(t, n.Pid()), []string{n.Addr, options.Addr}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("it listens on %q, want %q", got, want)
	}
	relaxed(t, n.Pid())
	n.Terminate()
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("after the end the file is there: %v", err)
	}
}

// relaxed checks that a node has relaxed its timers, which only the real program does, unless this process' own are not as Linux has them.
func relaxed(t *testing.T, pid int) {
	t.Helper()
	slack, err := os.ReadFile("/proc/self/timerslack_ns")
	if err != nil {
		t.Fatal(err)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	want := string(slack) == "50000\n"
	if err != nil || strings.Contains(string(environ), "\x00ROLLCALL_TIMERS_RELAXED=1") != want {
		t.Errorf("its timers are relaxed: want %v: %v %q", want, err, environ)
	}
}

// listening returns the TCP addresses on which a process listens, found by the inodes of its sockets.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("the descriptors of %d: %v %v", pid, fds, err)
	}
	for _, fd := range fds {
		to, _ := os.Readlink(fd) // it may be closed by now
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var all []string
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			const listen = "0A"
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listen || !inodes[f[9]] {
				continue
			}
			host, port, _ := strings.Cut(f[1], ":")
			var number int
			if _, err := fmt.Sscanf(port, "%X", &number); err != nil {
				t.Fatal(err)
			}
			if host == "0100007F" { // the bytes are in this machine's order
				host = "127.0.0.1"
			}
			all = append(all, net.JoinHostPort(host, fmt.Sprint(number)))
		}
	}
	return all
}
