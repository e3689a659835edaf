package livekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/reconcile"
)

// halves answers every request with the same list; the second half arrives a second after the first.
type halves struct {
	list  []byte
	calls atomic.Int32
}

func (h *halves) RoundTrip(*http.Request) (*http.Response, error) {
	h.calls.Add(1)
	half := len(h.list) / 2
	body := io.MultiReader(bytes.NewReader(h.list[:half]), pause(time.Second), bytes.NewReader(h.list[half:]))
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 2, Header: http.Header{"Content-Type": {"application/protobuf"}},
		ContentLength: int64(len(h.list)), Body: io.NopCloser(body)}, nil
}

// pause is a reader that ends after that time.
type pause time.Duration

func (p pause) Read([]byte) (int, error) {
	<-time.After(time.Duration(p))
	return 0, io.EOF
}

// TestAnswersTogether checks that answers that are read at the same time and hold too much together are read one after another, and that none
// fails.
func TestAnswersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rooms = 8
		server := &halves{list: answerOf(t, 700<<10)}
		client := clientOf(t, "livekit.test", func(o *Options) { o.Transport = server })
		client.kept.most = 1 << 20
		var group sync.WaitGroup
		for range rooms {
			group.Go(func() {
				if list, err := client.Participants(t.Context(), "r"); err != nil || len(list.Active) != 7 {
					t.Errorf("%d participants, %v", len(list.Active), err)
				}
			})
		}
		group.Wait()
		if server.calls.Load() <= rooms {
			t.Error("no answer was read again by itself: eight of 700 KiB were kept together where 1 MiB may be")
		}
		if got := client.kept.bytes.Load(); got != 0 || len(client.kept.own) != 0 {
			t.Errorf("%d bytes were not given back", got)
		}
	})
}

// TestNoRoomForAnAnswer checks that an answer that gets no memory before its deadline counts as a request without a turn.
func TestNoRoomForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := clientOf(t, "livekit.test", func(o *Options) { o.Transport = &halves{list: answerOf(t, 700<<10)} })
		client.kept.most = 100 << 10
		first, err := client.kept.alone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := client.Participants(ctx, "r"); !errors.Is(err, reconcile.ErrNoTurn) {
			t.Errorf("without room: %v", err)
		}
		first.free()
		if list, err := client.Participants(t.Context(), "r"); err != nil || len(list.Active) != 7 {
			t.Errorf("with room: %d participants, %v", len(list.Active), err)
		}
	})
}

// trickle answers every request with a list whose next participant comes after each pause, as often as that.
type trickle struct {
	entry  []byte
	pause  time.Duration
	times  int
	asking context.Context
}

func (r trickle) RoundTrip(req *http.Request) (*http.Response, error) {
	r.asking = req.Context()
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 2, Header: http.Header{"Content-Type": {"application/protobuf"}}, ContentLength: -1,
		Body: io.NopCloser(&r)}, nil
}

func (r *trickle) Read(p []byte) (int, error) {
	pause := r.pause
	if r.times--; r.times < 0 {
		pause = time.Hour // silence
	}
	select {
	case <-time.After(pause):
		return copy(p, r.entry), nil
	case <-r.asking.Done():
		return 0, r.asking.Err()
	}
}

// TestAnAnswerThatDoesNotEnd checks that an answer may take long while it arrives, but not for ever, and that silence ends it.
func TestAnAnswerThatDoesNotEnd(t *testing.T) {
	for name, c := range map[string]struct {
		pause     time.Duration
		times     int
		want      string
		from, til time.Duration
	}{
		"silence at once":    {0, 0, "no answer within 10s", 10 * time.Second, 10 * time.Second},
		"silence after some": {4 * time.Second, 3, "no answer within 10s", 22 * time.Second, 22 * time.Second},
		"silence at the end": {9 * time.Second, 3, "it does not end", answerWithin, answerWithin},
		"no end":             {4 * time.Second, 1000, "it does not end", answerWithin, answerWithin},
	} {
		synctest.Test(t, func(t *testing.T) {
			list := &livekit.ListParticipantsResponse{Participants: []*livekit.ParticipantInfo{{Sid: "PA_1", Identity: "1", State: livekit.ParticipantInfo_ACTIVE}}}
			entry, err := proto.Marshal(list)
			if err != nil {
				t.Fatal(err)
			}
			client := clientOf(t, "livekit.test", func(o *Options) {
				o.Timeout, o.Transport = 10*time.Second, trickle{entry: entry, pause: c.pause, times: c.times}
			})
			began := time.Now()
			_, err = client.Participants(t.Context(), "r")
			if took := time.Since(began); err == nil || !strings.Contains(err.Error(), c.want) || took < c.from || took > c.til {
				t.Errorf("%s: after %v: %v; want %q after %v to %v", name, took, err, c.want, c.from, c.til)
			}
		})
	}
}

// answerOf returns a list of seven participants who have that many bytes of metadata together.
func answerOf(t *testing.T, size int) []byte {
	t.Helper()
	list := &livekit.ListParticipantsResponse{}
	for i := range 7 {
		list.Participants = append(list.Participants, &livekit.ParticipantInfo{Sid: fmt.Sprint("PA_", i), Identity: fmt.Sprint(i),
			State: livekit.ParticipantInfo_ACTIVE, Metadata: string(bytes.Repeat([]byte("x"), size/7))})
	}
	b, err := proto.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
