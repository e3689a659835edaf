package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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
			first := act(b.Context(), b, url, "sync")
			for b.Loop() {
				if got := act(b.Context(), b, url, "sync"); got.Result.Synced != rooms || got.Result.Errors != 0 {
					b.Fatalf("%+v after %+v", got, first)
				}
			}
		})
	}
}

type answer struct {
	Result struct{ Synced, Errors, Cleaned int }
}

func act(ctx context.Context, b testing.TB, url, action string) (a answer) {
	b.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/sync-rooms", bytes.NewBufferString(`{"action":"`+action+`"}`))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		b.Fatal(err)
	}
	return a
}
