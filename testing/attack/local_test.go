package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestLocalProgramAgainstOneNode checks that where an admin token is set, a local program without a token gets nothing from the
// ports of a single node.
func TestLocalProgramAgainstOneNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{embedded: true})
	w.people("mine", "ada")
	before := w.clusterState(t) + w.get("/api/check-match", adminToken).body
	ports := w.listeners(t)
	if len(ports) != 2 || !slices.Contains(ports, w.Addr) {
		t.Errorf("it listens on %v, want its API and its Redis alone", ports)
	}
	for _, addr := range ports {
		for _, command := range []string{"PING", "KEYS *", "GET rooms:states:mine", "SET rooms:states:mine x", "DEL rooms:states:mine", "FLUSHALL", "CONFIG GET *",
			"EVAL return(redis.call('KEYS','*')) 0", "AUTH x", "AUTH default x", "HELLO 3 AUTH default x", "SUBSCRIBE x", "REPLICAOF 127.0.0.1 1", "SHUTDOWN"} {
			if got := say(t, addr, resp(command)); addr != w.Addr && (!strings.HasPrefix(got, "-") || strings.Contains(got, "ada")) {
				t.Errorf("%s: %s: %.200q", addr, command, got)
			}
		}
		if addr != w.Addr {
			pokeNodePort(t, addr)
		}
	}
	w.everyRoute(t)
	if after := w.clusterState(t) + w.get("/api/check-match", adminToken).body; after != before {
		t.Errorf("what the admin sees was\n%s\nand is\n%s", before, after)
	}
}

// resp encodes a command in Redis' protocol.
func resp(command string) string {
	words := strings.Fields(command)
	text := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		text += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	return text
}

// say sends a text and returns the first line of the answer.
func say(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, text)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}

// everyRoute requests every route of the API without a token.
func (w *world) everyRoute(t *testing.T) {
	t.Helper()
	for path, r := range reaches() {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			status := w.begin(method, strings.ReplaceAll(path, "{room}", "mine"), "")
			if open := method == http.MethodGet && r.get == "anyone"; open != (status == 200) {
				t.Errorf("%s %s without a token: %d", method, path, status)
			}
		}
	}
}

// pokeNodePort sends to a node port what a node would send, and other things, without any secret. None of it may succeed.
func pokeNodePort(t *testing.T, addr string) {
	t.Helper()
	for path, body := range map[string]string{
		"/app/order":  `{"action":"stop-service"}`,
		"/app/self":   `{}`,
		"/app/agenda": `{}`,
		"/v1/join":    `{"id":"mallory","nodeAddr":"127.0.0.1:1","fresh":true,"same":{"--redis-hash-tags":"false"}}`,
		"/v1/apply":   `{}`,
		"/v1/status":  `{}`,
	} {
		for _, proto := range []string{"P", "", "R", "G"} {
			text := fmt.Sprintf("%sPOST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", proto, path, len(body), body)
			if got := say(t, addr, text); strings.HasPrefix(got, "HTTP/1.1 ") && !strings.HasPrefix(got, "HTTP/1.1 503 ") {
				t.Errorf("%s: a node answers %q to %s of a stranger", addr, strings.TrimSpace(got), path)
			}
		}
	}
	for _, text := range []string{"", "R", "R\x00", "R\x02\x00\x00", "In1\n", "I*\n", "GPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "GET / HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", strings.Repeat("R", 1<<16), strings.Repeat("\xff", 1<<16)} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// TestLocalProgramAgainstACluster attacks two nodes on loopback, with a real Redis. A program that has the binary but not the
// LiveKit secret changes nothing through the node ports and does not become a member.
func TestLocalProgramAgainstACluster(t *testing.T) {
	t.Parallel()
	addrs := freeaddr.ForTest(t, 3)
	join := "--join=" + addrs[0] + "," + addrs[1]
	w := newWorld(t, options{flags: []string{"--node-addr=" + addrs[0], join, "--bootstrap-expect=2"}, withoutReady: true})
	second := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), Wrapper: limited(0), ID: "n2", Env: slices.Clone(w.Env), Flags: []string{
		"--node-addr=" + addrs[1], join, "--bootstrap-expect=2", "--sync-interval=1h", "--stale-after=24h", "--cleanup-interval=23h"}})
	second.Start()
	w.ready()
	second.AwaitReady()
	eventually.Nil(t, patience, "both are members", func() error {
		if got := w.clusterState(t); !strings.Contains(got, "2 nodes") {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	w.people("mine", "ada")
	w.unchanged(t, func() {
		for _, addr := range addrs[:2] {
			pokeNodePort(t, addr)
		}
		w.everyRoute(t)
		strangers(t, addrs[2], join)
	})
	if err := w.hook(joined("mine", "ada")).is(200); err != nil {
		t.Errorf("a webhook afterwards: %v", err)
	}
}

// strangers runs nodes that have no certificate, and another secret than the cluster's.
func strangers(t *testing.T, addr, join string) {
	t.Helper()
	own := redistest.Start(t, "--appendonly", "no")
	for name, flags := range map[string][]string{"insecure": {"--insecure"}, "with another secret": nil} {
		env := []string{"LIVEKIT_HOST=http://127.0.0.1:1", "LIVEKIT_API_KEY=other", "LIVEKIT_API_SECRET=another-secret-of-at-least-32-characters", "REDIS_URL=" + own.URL()}
		n := nodetest.New(t, nodetest.Options{Binary: os.Getenv(nodetest.BinEnv), Wrapper: limited(0), ID: "mallory", Env: env, Flags: append([]string{"--node-addr=" + addr, join}, flags...)})
		n.Start()
		ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
		pass(ctx, 4*time.Second)
		stop()
		if n.Probe("/readyz", http.StatusOK) == nil {
			t.Errorf("a node %s has become a member", name)
		}
		for _, told := range []string{fakelivekit.DefaultKey, "redis-url"} {
			if n.Says(told) == nil {
				t.Errorf("a node %s was told %q of the cluster", name, told)
			}
		}
		n.Kill()
	}
}
