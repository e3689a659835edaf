package fakelivekit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

const url = "http://receiver/hook"

// bubble runs a test in virtual time with a fake that sends to a receiver.
func bubble(t *testing.T, opts Options, test func(*testing.T, *Fake, *Receiver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		receiver := NewReceiver(DefaultKey, DefaultSecret)
		opts.URLs = []string{url}
		if opts.Transport == nil {
			opts.Transport = InProcess(receiver)
		}
		fake := New(opts)
		defer fake.Close()
		test(t, fake, receiver)
	})
}

// offsets returns the arrival times relative to the first, in ms.
func offsets(got []Delivery) []int64 {
	var ms []int64
	for _, d := range got {
		ms = append(ms, d.At.Sub(got[0].At).Milliseconds())
	}
	return ms
}

func TestRetrySchedule(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer Answer
		second time.Duration
		want   []int64
	}{
		{"500", Answer{Status: 500}, 0, []int64{0, 1000, 3000, 7000, 15000}},
		{"599", Answer{Status: 599}, 0, []int64{0, 1000, 3000, 7000, 15000}},
		{"501", Answer{Status: 501}, 0, []int64{0}},
		{"400", Answer{Status: 400}, 0, []int64{0}},
		{"401", Answer{Status: 401}, 0, []int64{0}},
		{"404", Answer{Status: 404}, 0, []int64{0}},
		{"429", Answer{Status: 429}, 0, []int64{0, 1000, 3000, 7000, 15000}},
		{"429 after 3", Answer{Status: 429, RetryAfter: "3"}, 0, []int64{0, 3000, 6000, 9000, 12000}},
		{"503 after 1", Answer{Status: 503, RetryAfter: "1"}, 0, []int64{0, 1000, 2000, 3000, 4000}},
		{"503 nonsense", Answer{Status: 503, RetryAfter: "soon"}, 0, []int64{0, 1000, 3000, 7000, 15000}},
		{"500 after 3", Answer{Status: 500, RetryAfter: "3"}, 0, []int64{0, 1000, 3000, 7000, 15000}},
		{"scaled", Answer{Status: 500}, 100 * time.Millisecond, []int64{0, 100, 300, 700, 1500}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Options{Second: c.second}, func(t *testing.T, fake *Fake, receiver *Receiver) {
				receiver.SetAnswer(func(Delivery) Answer { return c.answer })
				fake.Join("r", Who{Identity: "a"})
				time.Sleep(time.Minute)
				got := receiver.Deliveries("r")
				first := got[:len(c.want)]
				if !slices.Equal(offsets(first), c.want) {
					t.Errorf("attempts at %v, want %v", offsets(first), c.want)
				}
				for _, d := range first {
					if !bytes.Equal(d.Body, got[0].Body) || d.Token != got[0].Token || d.Err != nil {
						t.Errorf("an attempt differs from the first, or %v", d.Err)
					}
				}
				if stats := fake.Stats(); stats.Delivered != 0 || stats.Waiting != 0 || stats.Refused+stats.GivenUp != stats.Queued {
					t.Errorf("%+v", stats)
				}
			})
		})
	}
}

type brokenWire struct{ attempts int }

func (b *brokenWire) RoundTrip(*http.Request) (*http.Response, error) {
	b.attempts++ // one room with one webhook in flight: attempts never run concurrently
	return nil, errors.New("connection reset")
}

func TestNetworkErrorsAreRetried(t *testing.T) {
	wire := &brokenWire{}
	bubble(t, Options{Transport: wire}, func(t *testing.T, fake *Fake, _ *Receiver) {
		fake.Join("r", Who{Identity: "a"})
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if wire.attempts != 4 {
			t.Errorf("%d attempts after 14 s, want 4", wire.attempts)
		}
	})
}

func TestDepthAndAge(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		receiver.SetAnswer(func(Delivery) Answer { return Answer{Delay: time.Second} })
		fake.Join("r", Who{Identity: "a"}) // room_started goes into flight
		synctest.Wait()
		for i := range 300 {
			fake.Publish("r", "a", fmt.Sprint(i))
		}
		time.Sleep(10 * time.Minute)
		stats := fake.Stats()
		if stats.Overflow != 101 { // joined and 199 tracks waited
			t.Errorf("%d dropped for depth, want 101", stats.Overflow)
		}
		if n := len(receiver.Deliveries("r")); n != 31 || stats.Aged != 170 {
			t.Errorf("%d delivered and %d aged, want 31 and 170", n, stats.Aged)
		}
	})
}

func TestRoomsAreIndependent(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		receiver.SetAnswer(func(d Delivery) Answer {
			if d.Event.Room.Name == "stuck" {
				return Answer{Delay: time.Hour}
			}
			return Answer{}
		})
		fake.Join("stuck", Who{Identity: "a"})
		fake.Join("free", Who{Identity: "a"})
		synctest.Wait()
		if n := len(receiver.Deliveries("stuck")); n != 1 {
			t.Errorf("%d in flight for the stuck room, want 1", n)
		}
		if n := len(receiver.Deliveries("free")); n != 2 {
			t.Errorf("%d delivered for the free room, want 2", n)
		}
	})
}

func TestClientTimeoutOverlaps(t *testing.T) {
	bubble(t, Options{ClientTimeout: 10}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		receiver.SetAnswer(func(Delivery) Answer { return Answer{Delay: time.Minute} })
		fake.Join("r", Who{Identity: "a"})
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := offsets(receiver.Deliveries("r")); !slices.Equal(got, []int64{0, 11000}) {
			t.Errorf("attempts at %v, want a second one 1 s after the first timed out", got)
		}
	})
}

func TestThousandsOfIdleRoomsHaveNoGoroutines(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, fake *Fake, receiver *Receiver) {
		before := runtime.NumGoroutine()
		for i := range 5000 {
			fake.Join(fmt.Sprint("room-", i), Who{Identity: "a"})
		}
		if _, err := receiver.Wait(context.Background(), "", func(got []Delivery) bool { return len(got) == 10000 }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 5 {
			t.Errorf("%d goroutines for idle rooms", n)
		}
	})
}
