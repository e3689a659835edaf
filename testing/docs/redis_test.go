package docs

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// onRedis runs a node on a real Redis, with a LiveKit that sends it webhooks.
func onRedis(t *testing.T, bin, url string) (*nodetest.Node, *fakelivekit.Fake) {
	t.Helper()
	addr := freeaddr.ForTest(t, 1)[0]
	fake := fakelivekit.New(fakelivekit.Options{URLs: []string{"http://" + addr + "/api/livekit-webhook"}})
	api := httptest.NewServer(fake)
	t.Cleanup(api.Close)
	t.Cleanup(fake.Close)
	n := nodetest.New(t, nodetest.Options{Binary: bin, ID: "n1", HTTPAddr: addr})
	n.Env = append(fakelivekit.Env(api.URL), "REDIS_URL="+url)
	n.Up()
	return n, fake
}

// denies matches Redis' refusal of a command, and of a script that tries one.
var denies = regexp.MustCompile(`NOPERM|ACL failure|can't access at least one of the keys`)

// TestACLIsEnoughAndNoMore checks that the user that the pages create may do everything that rollcall does, and nothing with the
// application's keys.
func TestACLIsEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	each(t, "redis", func(p page, text string) {
		server := redistest.Start(t)
		admin := server.Client()
		var words []any
		for _, word := range strings.Fields(strings.ReplaceAll(text, "PASSWORD", "s3cret")) {
			words = append(words, word)
		}
		if err := admin.Do(t.Context(), words...).Err(); err != nil {
			t.Fatalf("%s: %v to %s", p.name, err, text)
		}
		for key, value := range map[string]string{"matching:queue": `["a"]`, "left_behind:ada": "1", "app": "1"} {
			if err := admin.Set(t.Context(), key, value, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		exercise(t, admin, "redis://rollcall:s3cret@"+server.Addr)
		if denied, err := admin.Do(t.Context(), "ACL", "LOG").Slice(); err != nil || len(denied) > 0 {
			t.Errorf("%s: %v, and Redis refused rollcall: %v", p.name, err, denied)
		}
		user := redis.NewClient(&redis.Options{Addr: server.Addr, Username: "rollcall", Password: "s3cret"})
		defer user.Close()
		for _, line := range []string{"GET app", "SET app 2", "DEL left_behind:ada", "SET matching:queue []", "DEL matching:active", "FLUSHALL", "FLUSHDB",
			"KEYS *", "CONFIG SET maxmemory 1", "SHUTDOWN", "ACL LIST", "EVAL return(redis.call('get','app')) 0"} {
			args := []any{}
			for _, word := range strings.Fields(line) {
				args = append(args, word)
			}
			if err := user.Do(t.Context(), args...).Err(); err == nil || !denies.MatchString(err.Error()) {
				t.Errorf("%s: rollcall's user may %s: %v", p.name, line, err)
			}
		}
	})
}

// exercise makes a node use Redis in every way that it does.
func exercise(t *testing.T, look *redis.Client, url string) {
	t.Helper()
	bin := program()
	n, fake := onRedis(t, bin, url)
	w := &world{T: t, dir: t.TempDir(), env: []string{"ROLLCALL_ADDR=" + n.URL(), "PATH=" + os.Getenv("PATH")}}
	fake.Join("r1", fakelivekit.Who{Identity: "ada"})
	fake.Join("r2", fakelivekit.Who{Identity: "alan"})
	eventually.True(t, "both rooms are in Redis", func() bool {
		return look.Get(t.Context(), "rooms:participants:r1").Val() == `["ada"]` && look.Get(t.Context(), "rooms:participants:r2").Val() == `["alan"]`
	})
	if err := look.Del(t.Context(), "rooms:states:r1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"sync", "cleanup", "full-sync --force", "stop", "start", "status", "rooms", "room r1 --timeline", "drift", "watch"} {
		w.run(bin + " " + line)
	}
	if err := n.Probe("/api/check-match", 200); err != nil {
		t.Error(err)
	}
	fake.DeleteRoom("r2")
	eventually.True(t, "the ended room is gone", func() bool { return look.Exists(t.Context(), "rooms:states:r2").Val() == 0 })
	n.Terminate()
	n.CheckLog()
}

// observer runs the consumer that its first argument names in a thread, and prints the consumer's rooms whenever it reads a line.
const observer = `
import json, sys, threading
held = {}
threading.Thread(target=exec, args=(open(sys.argv[1]).read(), held), daemon=True).start()
for _ in sys.stdin:
    try: print(json.dumps(held.get("rooms")), flush=True)
    except RuntimeError: print("null", flush=True)  # it changed meanwhile
`

// TestPythonConsumerHoldsTheKeys runs the unchanged example before, while and after rooms change, and when Redis restarts with
// older data.
func TestPythonConsumerHoldsTheKeys(t *testing.T) {
	t.Parallel()
	each(t, "python", func(p page, text string) {
		holdsTheKeys(t, p.name, func(url string) func() map[string]room { return consumer(t, text, url) })
	})
}

// holdsTheKeys checks that a consumer, which start starts, holds what the keys hold.
func holdsTheKeys(t *testing.T, name string, start func(url string) (ask func() map[string]room)) {
	t.Helper()
	server := redistest.Start(t, "--appendonly", "no")
	n, fake := onRedis(t, program(), server.URL())
	fake.Join("before", fakelivekit.Who{Identity: "ada"})
	eventually.True(t, "the first room is in Redis", func() bool { return len(keys(t, server.Client())) == 1 })
	ask := start(server.URL())
	agree := func(present map[string][]string) {
		t.Helper()
		eventually.True(t, fmt.Sprintf("%s: Redis and the consumer hold %v", name, present), func() bool {
			want := keys(t, server.Client())
			return reflect.DeepEqual(names(want), present) && reflect.DeepEqual(ask(), want)
		})
	}
	agree(map[string][]string{"before": {"ada"}})
	fake.Join("before", fakelivekit.Who{Identity: "alan", Attributes: map[string]string{"k": "v"}})
	for _, who := range []string{"barbara", "edsger", "grace"} {
		fake.Join("while", fakelivekit.Who{Identity: who})
	}
	agree(map[string][]string{"before": {"ada", "alan"}, "while": {"barbara", "edsger", "grace"}})
	if err := server.Client().Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	fake.Leave("while", "edsger")
	fake.Leave("while", "barbara")
	fake.Join("while", fakelivekit.Who{Identity: "barbara"})
	fake.DeleteRoom("before")
	fake.Join("after", fakelivekit.Who{Identity: "ada"})
	agree(map[string][]string{"while": {"barbara", "grace"}, "after": {"ada"}})
	n.Terminate() // nobody remembers what Redis loses next
	server.Restart(true)
	agree(map[string][]string{"before": {"ada", "alan"}, "while": {"barbara", "edsger", "grace"}})
}

// room is the part of a room that both the keys and the consumer hold.
type room struct {
	SID          string
	Participants []struct{ Identity, SID string }
}

// keys returns the rooms according to Redis' states.
func keys(t *testing.T, r *redis.Client) map[string]room {
	t.Helper()
	all := map[string]room{}
	for _, key := range r.Keys(t.Context(), "rooms:states:*").Val() {
		state, err := r.Get(t.Context(), key).Bytes()
		if err != nil {
			continue // it has just ended
		}
		var held room
		if err := json.Unmarshal(state, &held); err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		all[strings.TrimPrefix(key, "rooms:states:")] = held
	}
	return all
}

// names returns the identities in each room, by the room's name.
func names(rooms map[string]room) map[string][]string {
	all := map[string][]string{}
	for name, r := range rooms {
		for _, who := range r.Participants {
			all[name] = append(all[name], who.Identity)
		}
		slices.Sort(all[name])
	}
	return all
}

// consumer starts the example and returns a function that returns the rooms it holds.
func consumer(t *testing.T, text, url string) func() map[string]room {
	t.Helper()
	dir := t.TempDir()
	for name, source := range map[string]string{"consumer.py": text, "observer.py": observer} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return converse(t, dir, []string{"REDIS_URL=" + url}, python(t), "observer.py", "consumer.py")
}

// converse starts a program and returns a function that sends it a line and returns the rooms in its answer, one line of JSON.
func converse(t *testing.T, dir string, env []string, program string, args ...string) func() map[string]room {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(); _ = cmd.Wait() })
	lines := bufio.NewReader(out)
	return func() map[string]room {
		t.Helper()
		var rooms map[string]room
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil || json.Unmarshal([]byte(line), &rooms) != nil {
			t.Fatalf("the consumer says %q: %v", line, err)
		}
		return rooms
	}
}

// python returns an interpreter that has the library: Debian installs it for its own interpreter, which need not be the first on
// the PATH.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import redis").Run() == nil {
			return name
		}
	}
	t.Fatal("no python3 has the redis library: apt-get install python3-redis, or pip install redis")
	return ""
}
