package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// dial opens a connection to the API. It returns nil if the node accepts none.
func (w *world) dial() net.Conn {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).Dial("tcp", w.Addr)
	if err != nil {
		return nil
	}
	if w.scheme == "https" {
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		_ = secure.SetDeadline(time.Now().Add(patience))
		if secure.Handshake() != nil {
			_ = conn.Close()
			return nil
		}
		_ = secure.SetDeadline(time.Time{})
		return secure
	}
	return conn
}

// rawGet returns a request as it is sent over the wire.
func rawGet(path, token string, header ...string) string {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: localhost", "Authorization: Bearer " + token}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// flood sends the text on that many new connections at once, keeps them open for a time, and closes them. Every second connection
// reads what it receives, the others read nothing; with deaf, none reads.
func (w *world) flood(ctx context.Context, connections int, deaf bool, text string, hold time.Duration) {
	ctx, stop := context.WithTimeout(ctx, hold)
	defer stop()
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() {
			conn := w.dial()
			if conn == nil {
				return
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			if _, err := io.WriteString(conn, text); err == nil && i%2 == 0 && !deaf {
				_, _ = io.Copy(io.Discard, bufio.NewReaderSize(conn, 64<<10))
			}
			<-ctx.Done()
		})
	}
	all.Wait()
}

// fill runs a pipeline of n commands, in batches.
func (w *world) fill(n int, add func(pipe redis.Pipeliner, i int)) {
	w.t.Helper()
	for i := 0; i < n; {
		pipe := w.redis.Client().Pipeline()
		for end := min(n, i+100); i < end; i++ {
			add(pipe, i)
		}
		if _, err := pipe.Exec(w.t.Context()); err != nil {
			w.t.Fatalf("fill Redis: %v", err)
		}
	}
}

// feed appends entries with data of that size to the change feed.
func (w *world) feed(entries, size int) {
	w.t.Helper()
	data := `{"identity":"i","joinedAt":1,"metadata":"` + strings.Repeat("x", size) + `","sid":"PA_i","name":"","attributes":{},"kind":"STANDARD","hidden":false,"version":1}`
	w.fill(entries, func(pipe redis.Pipeliner, i int) {
		pipe.XAdd(w.t.Context(), &redis.XAddArgs{Stream: "rooms:events", Values: []any{"room", fmt.Sprint("other-", i%50), "gen", "1", "epoch", "1",
			"version", fmt.Sprint(i + 2), "prev", fmt.Sprint(i + 1), "n", "1", "of", "1", "type", "participant_joined", "identity", "i",
			"sid", "PA_i", "cause", "webhook", "time", "1795433840000", "data", data}})
	})
}

// rooms adds rooms of that size to Redis, in the stored format.
func (w *world) rooms(prefix string, n, size int) {
	w.t.Helper()
	w.fill(n, func(pipe redis.Pipeliner, i int) {
		name, ctx := fmt.Sprint(prefix, i), w.t.Context()
		pipe.Set(ctx, "rooms:participants:"+name, `["i"]`, 0)
		pipe.Set(ctx, "rooms:states:"+name, fmt.Sprintf(`{"roomName":"%s","sid":"RM_x","isActive":true,"createdAt":1,"lastUpdated":1,"maxParticipants":0,`+
			`"metadata":"%s","version":1,"participants":[]}`, name, strings.Repeat("x", size)), 0)
		pipe.ZAdd(ctx, "rooms:index", redis.Z{Member: name})
	})
}

type memoryAttack struct {
	name        string
	connections int
	deaf        bool // nobody reads
	path        string
	header      []string
}

// besiege runs each attack for some seconds, one after the other.
func (w *world) besiege(token string, attacks []memoryAttack) {
	for _, a := range attacks {
		w.t.Run(a.name, func(t *testing.T) {
			w.siege(t, func(ctx context.Context) {
				w.flood(ctx, a.connections, a.deaf, rawGet(a.path, token, a.header...), 4*time.Second)
			})
		})
	}
}

// TestMemoryOfStreams replays a feed of 60 MB with a token for one room.
func TestMemoryOfStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.feed(1000, 60_000)
	from := []string{"Last-Event-ID: 0-0"}
	w.besiege(moderator(t, "any"), []memoryAttack{
		{"some read", 80, false, "/api/events?room=any", from},
		{"nobody reads", 80, true, "/api/events?room=any", from},
	})
	w.besiege(moderator(t, "other-1"), []memoryAttack{{"of its own room, unread", 80, true, "/api/events?room=other-1", from}})
	w.besiege(reader(t), []memoryAttack{
		{"of all rooms", 80, false, "/api/events", from},
		{"of all rooms, unread", 80, true, "/api/events", from},
	})
}

// TestMemoryOfFollowers makes changes while nobody reads the streams.
func TestMemoryOfFollowers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.siege(t, func(ctx context.Context) {
		var streams sync.WaitGroup
		streams.Go(func() { w.flood(ctx, 80, true, rawGet("/api/events", reader(t)), 5*time.Second) })
		pass(ctx, time.Second)
		w.feed(1000, 60_000)
		streams.Wait()
	})
}

// TestMemoryOfAnswers requests large answers that nobody fetches, or that many want at once.
func TestMemoryOfAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.rooms("big", 2, 6<<20)
	w.rooms("some", 40, 1<<20)
	w.rooms("tiny", 5000, 10)
	w.besiege(moderator(t, "big0"), []memoryAttack{
		{"a room, unread", 300, true, "/api/rooms/big0", nil},
		{"a room by its name, some read", 300, false, "/api/rooms?name=big0", nil},
		{"the head of a room", 300, true, "/api/rooms/big0", []string{"Range: bytes=0-0"}},
	})
	w.besiege(reader(t), []memoryAttack{
		{"check-match, unread", 30, true, "/api/check-match", nil},
		{"check-match, some read", 60, false, "/api/check-match", nil},
		{"the list", 200, true, "/api/rooms?limit=1000", nil},
		{"the list, searched", 200, false, "/api/rooms?limit=1000&search=nothing", nil},
		{"metrics, unread", 300, true, "/metrics", nil},
		{"the description, unread", 500, true, "/openapi.yaml", nil},
	})
}

// TestMemoryOfHistories reads a timeline and repairs with large entries.
func TestMemoryOfHistories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	long := strings.Repeat("x", 50_000)
	w.fill(100, func(pipe redis.Pipeliner, i int) {
		pipe.LPush(t.Context(), "rooms:timeline:mine", fmt.Sprintf(`{"time":%d,"type":"participant_joined","identity":"%s","sid":"PA","cause":"webhook",`+
			`"reason":"","event":"EV","gen":1,"epoch":1,"version":%d,"owner":"n1"}`, i, long, i))
	})
	w.besiege(moderator(t, "mine"), []memoryAttack{
		{"a timeline, unread", 300, true, "/api/rooms/mine/timeline?limit=1000", nil},
		{"a timeline, some read", 300, false, "/api/rooms/timeline?name=mine", nil},
	})
}

// TestMemoryOfWebhooks sends signed bodies that are small to send and large to decode, many at once, and bodies whose declared
// length is wrong.
func TestMemoryOfWebhooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	const size = 7 << 20
	elements := func(head, element, tail string) string {
		return head + strings.TrimSuffix(strings.Repeat(element+",", size/(len(element)+1)), ",") + tail
	}
	for _, c := range []struct{ name, body string }{
		{"tiny codecs", elements(`{"event":"room_started","room":{"name":"r","sid":"RM_r","enabledCodecs":[`, `{}`, `]}}`)},
		{"tiny tracks", elements(`{"event":"participant_joined","room":{"name":"r","sid":"RM_r"},"participant":{"sid":"PA","identity":"i","tracks":[`, `{}`, `]}}`)},
		{"tiny unknown elements", elements(`{"event":"participant_joined","later":[`, `1`, `]}`)},
		{"tiny keys", elements(`{"event":"participant_joined","participant":{"attributes":{`, `"":""`, `}}}`)},
		{"deep", `{"event":"room_started","x":` + strings.Repeat("[", size) + `}`},
		{"long metadata", `{"event":"room_finished","room":{"name":"r","sid":"RM_r","metadata":"` + strings.Repeat("x", size) + `"}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.siege(t, func(context.Context) {
				for range 2 {
					var all sync.WaitGroup
					for range 8 {
						all.Go(func() { w.hook(c.body) })
					}
					all.Wait()
				}
			})
		})
	}
	t.Run("bodies that lie", func(t *testing.T) { w.siege(t, func(ctx context.Context) { w.lyingBodies(t, ctx) }) })
}

// lyingBodies sends bodies that are shorter or longer than declared, or compressed.
func (w *world) lyingBodies(t *testing.T, ctx context.Context) {
	signed, err := fakelivekit.Sign([]byte("{}"), fakelivekit.DefaultKey, fakelivekit.DefaultSecret)
	if err != nil {
		t.Fatal(err)
	}
	head := "POST " + webhookURL + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/webhook+json\r\nAuthorization: "
	var all sync.WaitGroup
	for _, text := range []string{
		head + signed + "\r\nContent-Length: 8388608\r\n\r\n",
		head + signed + "\r\nContent-Length: 9223372036854775807\r\n\r\n" + strings.Repeat("x", 1<<16),
		head + signed + "\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("100000\r\n"+strings.Repeat("x", 1<<20)+"\r\n", 9),
		head + signed + "\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n" + strings.Repeat("x", 1<<16),
		head + signed + "\r\nContent-Encoding: gzip\r\nContent-Length: 24\r\n\r\n" + strings.Repeat("\x1f\x8b", 12),
		head + "x\r\nContent-Length: 8000000\r\n\r\n" + strings.Repeat("x", 1<<20),
	} {
		all.Go(func() { w.flood(ctx, 40, true, text, 4*time.Second) })
	}
	all.Wait()
}

// TestMemoryOfLists runs a LiveKit that answers with lists of 16 MB of tiny entries.
func TestMemoryOfLists(t *testing.T) {
	t.Parallel()
	var list []byte
	var lists string
	truth := fakelivekit.New(fakelivekit.Options{Seed: 2})
	t.Cleanup(truth.Close)
	var mu sync.Mutex
	order := func(method string, entry []byte) {
		mu.Lock()
		defer mu.Unlock()
		lists, list = method, slices.Repeat(append([]byte{0x0a, byte(len(entry))}, entry...), (16<<20-64)/(len(entry)+2))
	}
	w := newWorld(t, options{livekit: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		body := list
		if lists != r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:] {
			body = nil
		}
		mu.Unlock()
		if body == nil {
			truth.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/protobuf")
		rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = rw.Write(body)
	})})
	w.people("mine", "ada")
	look := moderator(t, "mine")
	for _, c := range []struct {
		name, list string
		entry      []byte
	}{
		{"rooms of nothing", "ListRooms", nil},
		{"rooms of one name", "ListRooms", []byte("\x12\x01a")},
		{"rooms with an id and a name", "ListRooms", []byte("\x0a\x01s\x12\x01a")},
		{"participants of nothing", "ListParticipants", nil},
		{"participants of one identity", "ListParticipants", []byte("\x12\x01a")},
		{"active participants", "ListParticipants", []byte("\x0a\x01s\x12\x01a\x18\x02")},
	} {
		t.Run(c.name, func(t *testing.T) {
			order(c.list, c.entry)
			w.siege(t, func(ctx context.Context) {
				var looks sync.WaitGroup
				for range 8 {
					looks.Go(func() { w.get("/api/rooms/mine/livekit", look) })
				}
				if a := w.ask(http.MethodPost, "/api/sync-rooms", adminToken, `{"action":"sync","dryRun":true}`, nil); a.status == 0 {
					t.Errorf("a sync: %v", a.err)
				}
				looks.Wait()
			})
		})
	}
}
