package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzEvents reads streams of events. It checks that a reader with the smallest possible buffer reads the same as one that
// has the whole stream, that a block holds no more than the stream, and that an event has exactly the part that its name
// says.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("id: 7-0\n\n: hello\n\nevent: leader\ndata: {\"leader\":\"n1\",\"term\":3}\n\nevent: new\ndata: {}\n\n:\n\n"))
	f.Add([]byte("id: 9-0\r\nevent:change\r\ndata:{\"room\":\"r\",\"version\":9,\r\ndata: \"time\":5}\r\n\r\nevent: members\ndata: {\"members\":[\"n1\"]}\n\n"))
	f.Add([]byte("event: sync\ndata: {\"durationMs\":\n\nevent: cleanup\ndata: null\n\nevent: service\ndata\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole := bufio.NewReaderSize(bytes.NewReader(stream), len(stream)+16)
		pieces := bufio.NewReaderSize(bytes.NewReader(stream), 16)
		for read := 0; ; {
			a, errA := readBlock(whole, func() {})
			b, errB := readBlock(pieces, func() {})
			if (errA == nil) != (errB == nil) || errA == nil && !reflect.DeepEqual(a, b) {
				t.Fatalf("%+v, %v; in pieces %+v, %v", a, errA, b, errB)
			}
			if read += len(a.id) + len(a.name) + len(a.data); read > len(stream) {
				t.Fatalf("%d bytes of a stream of %d", read, len(stream))
			}
			if errA != nil {
				if !errors.Is(errA, io.EOF) {
					t.Fatal(errA)
				}
				return
			}
			checkEvent(t, a)
		}
	})
}

func checkEvent(t *testing.T, b block) {
	t.Helper()
	e, ok, err := b.event()
	if err != nil && (ok || !errors.Is(err, ErrNotRollcall)) {
		t.Fatalf("%+v: %v, %v", b, ok, err)
	}
	if !ok {
		return
	}
	parts := map[string]bool{"change": e.Change != nil, "leader": e.Leader != nil, "members": e.Members != nil, "service": e.Service != nil,
		"sync": e.Sync != nil, "cleanup": e.Cleanup != nil}
	for name, has := range parts {
		if has != (name == b.name) {
			t.Fatalf("%+v is read as %+v", b, e)
		}
	}
	if e.ID != b.id || e.Connected {
		t.Fatalf("%+v is read as %+v", b, e)
	}
	if e.Change != nil && e.Change.Data != nil && !json.Valid(e.Change.Data) {
		t.Fatalf("the data of a change are not JSON: %q", e.Change.Data)
	}
}

// FuzzRefusal reads refusals of a server and checks that a wait is never negative, and that the message is the server's
// alone.
func FuzzRefusal(f *testing.F) {
	f.Add(503, "1", []byte(`{"error":"no"}`))
	f.Add(429, "9223372036854775807", []byte(`{"error":5}`))
	f.Add(404, "-1", []byte("<html>"))
	f.Add(500, "Wed, 21 Oct 2015 07:28:00 GMT", []byte(`{"error":"\ud800"}`))
	f.Fuzz(func(t *testing.T, status int, wait string, body []byte) {
		err := refusal(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {wait}}}, body)
		var e *Error
		if !errors.As(err, &e) || e.Status != status || e.RetryAfter < 0 || len(e.Message) > 3*len(body) {
			t.Fatalf("%#v", err)
		}
		if n, bad := strconv.ParseInt(wait, 10, 64); bad == nil && n > 0 && e.RetryAfter != maxRetryAfter && e.RetryAfter != time.Duration(n)*time.Second {
			t.Fatalf("to wait %q became %v", wait, e.RetryAfter)
		}
	})
}

// FuzzInterval checks that numbers and durations are written and read again as the same milliseconds.
func FuzzInterval(f *testing.F) {
	for _, text := range []string{"30000", `"30s"`, "-1", "9223372036854775807", "null", `"x"`, "1e3", `"2562047h47m16.854775807s"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var i, again Interval
		if json.Unmarshal(text, &i) != nil {
			return
		}
		written, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil || time.Duration(again) != time.Duration(i).Truncate(time.Millisecond) {
			t.Fatalf("%s became %s and that %v, %v", text, written, time.Duration(again), err)
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && strconv.FormatInt(n, 10) != string(written) {
			t.Fatalf("%s ms became %s", text, written)
		}
	})
}

// FuzzAddress reads addresses of nodes. It checks that an accepted address is a URL of a host, which is read again as
// itself, and that an error quotes nothing, since the address may contain a password.
func FuzzAddress(f *testing.F) {
	for _, addr := range []string{"127.0.0.1:8080", "http://[::1]:8080/", "https://n1.example.org/base//", "http://u:hunter2@h", "ftp://h", "h?x", "//", "http://"} {
		f.Add(addr)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		c, err := New(addr)
		if err != nil {
			if c != nil || err.Error() != "the node's address is not a URL such as http://127.0.0.1:8080" {
				t.Fatal(err)
			}
			return
		}
		if again, err := New(c.Base()); err != nil || again.Base() != c.Base() || strings.HasSuffix(c.Base(), "/") {
			t.Fatalf("%q became %q, %v", addr, c.Base(), err)
		}
		if req, err := http.NewRequest(http.MethodGet, c.Base()+"/api/rooms", nil); err != nil || req.URL.Hostname() == "" || req.URL.User != nil || req.URL.RawQuery != "" {
			t.Fatalf("%q cannot be asked: %v", addr, err)
		}
	})
}
