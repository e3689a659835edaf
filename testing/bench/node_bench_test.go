package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// startNode builds and runs the real binary between a Redis and a LiveKit, and returns its URL once it is ready.
func startNode(b *testing.B, addr, livekit, redisURL string) string {
	b.Helper()
	dir := b.TempDir()
	bin, err := nodetest.Build(context.Background(), dir, false)
	if err != nil {
		b.Fatal(err)
	}
	n := nodetest.New(b, nodetest.Options{Binary: bin, ID: "bench", HTTPAddr: addr, Flags: []string{"--drain-delay=0s", "--log-level=warn"},
		Env: []string{"LIVEKIT_HOST=" + livekit, "LIVEKIT_API_KEY=" + livekittest.Key, "LIVEKIT_API_SECRET=" + livekittest.Secret, "REDIS_URL=" + redisURL}})
	n.Up()
	return n.URL()
}

func freeAddr(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// percentiles reports the 50th and 99th percentile and the maximum of some times, in ms.
func percentiles(b *testing.B, what string, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(p float64) float64 { return float64(took[int(p*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), what+"-p50-ms")
	b.ReportMetric(at(0.99), what+"-p99-ms")
	b.ReportMetric(at(1), what+"-max-ms")
}

// BenchmarkJoinToRedis reports the time until a real participant's identity is in Redis: from its attempt to join a real LiveKit,
// and from its being connected. The first is what a user waits for. The second is rollcall's part, and 0 where Redis had it
// first.
func BenchmarkJoinToRedis(b *testing.B) {
	store := redistest.Start(b)
	addr := freeAddr(b)
	lk := livekittest.New(b, livekittest.Options{URLs: []string{"http://" + addr + "/api/livekit-webhook"}})
	startNode(b, addr, lk.URL(), store.URL())
	var joined, connected []time.Duration
	for i := 0; b.Loop(); i++ {
		who := fmt.Sprintf("user-%d", i)
		start := time.Now()
		there := make(chan time.Time, 1)
		go func() { there <- seen(b.Context(), store.Client(), "bench", who) }()
		p, err := lk.Join(b.Context(), "bench", livekittest.Who{Identity: who})
		if err != nil {
			b.Fatal(err)
		}
		in := time.Now()
		at := <-there
		joined, connected = append(joined, at.Sub(start)), append(connected, max(at.Sub(in), 0))
		p.Leave()
	}
	percentiles(b, "join", joined)
	percentiles(b, "connected", connected)
}

func seen(ctx context.Context, client *redis.Client, room, who string) time.Time {
	for ctx.Err() == nil {
		value, err := client.Get(ctx, "rooms:participants:"+room).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			break
		}
		var identities []string
		if json.Unmarshal(value, &identities) == nil && slices.Contains(identities, who) {
			break
		}
	}
	return time.Now()
}

// BenchmarkSync reports a whole cycle over rooms of two people each that are already right, according to the node's own report.
func BenchmarkSync(b *testing.B) {
	for _, rooms := range []int{100, 1000, 5000} {
		b.Run(strconv.Itoa(rooms), func(b *testing.B) {
			store, fake := redistest.Start(b), fakelivekit.New(fakelivekit.Options{Seed: 1})
			b.Cleanup(fake.Close)
			server := httptest.NewServer(fake)
			b.Cleanup(server.Close)
			for i := range rooms {
				for j := range 2 {
					fake.Join(fmt.Sprintf("room-%d", i), fakelivekit.Who{Identity: fmt.Sprintf("user-%d", j)})
				}
			}
			url := startNode(b, freeAddr(b), server.URL, store.URL())
			first := act(b, url, "sync")
			for b.Loop() {
				if got := act(b, url, "sync"); got.Result.Synced != rooms || got.Result.Errors != 0 {
					b.Fatalf("%+v after %+v", got, first)
				}
			}
		})
	}
}

type answer struct {
	Result struct{ Synced, Errors, Cleaned int }
}

func act(b *testing.B, url, action string) (a answer) {
	b.Helper()
	resp, err := http.Post(url+"/api/sync-rooms", "application/json", bytes.NewBufferString(`{"action":"`+action+`"}`))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		b.Fatal(err)
	}
	return a
}

// BenchmarkWebhooks reports joins from 64 senders, each in separate rooms, next to a handler as one writes it in an afternoon: no
// signature, no order, no fence, both keys read, changed and written. The ratio of the two is the price of correctness.
func BenchmarkWebhooks(b *testing.B) {
	b.Run("rollcall", func(b *testing.B) {
		store, fake := redistest.Start(b), fakelivekit.New(fakelivekit.Options{Seed: 1})
		b.Cleanup(fake.Close)
		server := httptest.NewServer(fake)
		b.Cleanup(server.Close)
		send(b, startNode(b, freeAddr(b), server.URL, store.URL())+"/api/livekit-webhook")
	})
	b.Run("naive", func(b *testing.B) {
		store := redistest.Start(b)
		server := httptest.NewServer(naive{store.Client()})
		b.Cleanup(server.Close)
		send(b, server.URL)
	})
}

// senders is the number of concurrent webhooks.
const senders = 64

func send(b *testing.B, url string) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: senders}}
	var n atomic.Int64
	b.SetParallelism(senders / 2) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		room := fmt.Sprintf("room-%d", n.Add(1))
		for i := 0; pb.Next(); i++ {
			if i%10 == 0 {
				room = fmt.Sprintf("room-%d", n.Add(1))
			}
			post(b, client, url, room, fmt.Sprintf("user-%d", i))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "webhooks/s")
}

func post(b *testing.B, client *http.Client, url, room, who string) {
	now := time.Now()
	body := fmt.Appendf(nil, `{"event":"participant_joined","id":"EV_%[1]d","createdAt":"%[2]d","room":{"sid":"RM_%[3]s","name":"%[3]s",`+
		`"creationTime":"1795399866","creationTimeMs":"1795399866205"},"participant":{"sid":"PA_%[1]d","identity":"%[4]s","state":"ACTIVE",`+
		`"joinedAt":"%[2]d","joinedAtMs":"%[5]d","version":2}}`, now.UnixNano(), now.Unix(), room, who, now.UnixMilli())
	token, err := fakelivekit.Sign(body, livekittest.Key, livekittest.Secret)
	if err != nil {
		b.Error(err)
		return
	}
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Authorization", token)
	resp, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		b.Errorf("%s: %s", resp.Status, said)
	}
}

// naive is the webhook handler that rollcall replaces.
type naive struct{ redis *redis.Client }

func (h naive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct {
		Room        struct{ Name string }
		Participant struct{ Identity string }
	}
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var present []string
	if value, err := h.redis.Get(r.Context(), "rooms:participants:"+e.Room.Name).Bytes(); err == nil {
		_ = json.Unmarshal(value, &present) // errors are ignored, as usual in such handlers
	}
	present = append(present, e.Participant.Identity)
	list, _ := json.Marshal(present)
	state, _ := json.Marshal(map[string]any{"roomName": e.Room.Name, "isActive": true, "participants": present})
	h.redis.Set(r.Context(), "rooms:participants:"+e.Room.Name, list, 0)
	h.redis.Set(r.Context(), "rooms:states:"+e.Room.Name, state, 0)
	_, _ = io.WriteString(w, `{"success":true}`)
}
