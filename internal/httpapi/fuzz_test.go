package httpapi

import (
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// silentRig is a rig that keeps no log, for tests that send many requests.
func silentRig(t testing.TB, n *node) *rig {
	return newRig(t, n, func(c *Config) { c.AdminToken, c.Log = adminToken, slog.New(slog.DiscardHandler) })
}

func admin() func(*http.Request) { return header("Authorization", "Bearer "+adminToken) }

// problemText returns the text of an answer that refuses.
func problemText(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Error == "" {
		t.Fatalf("%d with no problem: %s", w.Code, w.Body)
	}
	return p.Error
}

// unknownField matches the refusal of a field: its name is quoted, without control characters, and cut short.
var unknownField = regexp.MustCompile(`^Unknown field "[^\x00-\x1f]{0,400}"\. Use: [a-zA-Z, ]+$`)

// FuzzActions sends bodies to both endpoints that act and checks that at most one action runs and that a refusal quotes
// nothing of the body but the name of an unknown field.
func FuzzActions(f *testing.F) {
	for _, body := range []string{`{"action":"sync","dryRun":true}`, `{"action":"start-service","force":true}`, `{"action":"remove","id":"n1"}`,
		`{"action":"sync","room":"a"}`, `{"action":"sync","room":"","Dryrun":1}`, `{"action":5}`, `{"ACTION":"cleanup","force":1}`, `["sync"]`, `null`, ``, `{"action":"sync"}{`, `{"action":"remove","id":""}`} {
		f.Add(body)
	}
	n := &node{}
	r := silentRig(f, n)
	texts := []string{invalidAction, `"dryRun" and "force" must be true or false`, `The body must be a JSON object such as {"action":"sync"}`,
		`"dryRun" and "force" go with sync, cleanup and full-sync only`, invalidClusterAction, "The body is too large",
		`"room" must be the name of a room`, `"room" goes with sync only`, `The body must be a JSON object such as {"action":"remove","id":"n2"}`}
	f.Fuzz(func(t *testing.T, body string) {
		for _, target := range []string{"/api/sync-rooms", "/api/cluster"} {
			n.asked = nil
			w := r.ask("POST", target, body, admin())
			switch {
			case w.Code == http.StatusOK && len(n.asked) == 1 && json.Valid([]byte(body)):
			case w.Code >= 400 && w.Code < 500 && len(n.asked) == 0 && (slices.Contains(texts, problemText(t, w)) || unknownField.MatchString(problemText(t, w))):
			default:
				t.Fatalf("%s %q: %d %s, asked for %q", target, body, w.Code, w.Body, n.asked)
			}
		}
	})
}

// FuzzQueries asks for lists with arbitrary queries and checks that what is passed on is within its limits, and that the
// answer is complete or a refusal.
func FuzzQueries(f *testing.F) {
	for _, query := range []string{"limit=5&cursor=YQ&search=b", "limit=0", "limit=1001", "limit=%31", "cursor=!", "cursor=YQ==", "a=%zz", "limit=1&limit=x",
		"cursor=IWE", "search=" + strings.Repeat("x", 1025), "name=a", "name=", ";"} {
		f.Add(query)
	}
	n := &node{}
	n.put("a", `["u"]`, stateOf("a"))
	n.put("b", `[]`, stateOf("b"))
	r := silentRig(f, n)
	f.Fuzz(func(t *testing.T, query string) {
		if values, err := url.ParseQuery(query); err == nil {
			w, err := (&call{query: values}).window(defaultRooms)
			if err == nil && (w.limit < 1 || w.limit > maxLimit || len(w.search) > maxSearch || opaque(w.cursor) != strings.Map(noLineEnds, values.Get("cursor"))) {
				t.Fatalf("%q is read as %+v", query, w)
			}
		}
		for _, path := range []string{"/api/rooms", "/api/check-match", "/api/rooms/a/timeline", "/api/drift"} {
			w := r.ask("GET", path, "", admin(), func(r *http.Request) { r.URL.RawQuery = query })
			if w.Code != http.StatusOK && problemText(t, w) == "" || w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%s?%s: %d %s", path, query, w.Code, w.Body)
			}
		}
	})
}

// noLineEnds drops the characters that base64 ignores.
func noLineEnds(r rune) rune {
	if r == '\r' || r == '\n' {
		return -1
	}
	return r
}

// FuzzStoredRooms lists a room whose values others have overwritten and checks that all answers are complete and contain the
// other rooms.
func FuzzStoredRooms(f *testing.F) {
	f.Add(`["u"]`, stateOf("b"))
	f.Add(`[5]`, `{"createdAt":"x"}`)
	f.Add(`null`, `[]`)
	f.Add(`{`, ` {"a":1}} `)
	f.Add("[\"\xff\"]", "{\"a\":\"\xff\"}")
	n := &node{}
	n.put("a", `["u"]`, stateOf("a"))
	n.put("c", `["v","w"]`, stateOf("c"))
	r := silentRig(f, n)
	f.Fuzz(func(t *testing.T, present, state string) {
		n.put("b", present, state)
		var list roomsAnswer
		w := r.ask("GET", "/api/rooms", "", admin())
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK || !rowOf(list, "a", 1) || !rowOf(list, "c", 2) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var match struct {
			Present    map[string][]string        `json:"roomParticipants"`
			States     map[string]json.RawMessage `json:"roomStates"`
			Unreadable []string                   `json:"unreadable"`
		}
		w = r.ask("GET", "/api/check-match", "", admin())
		if err := json.Unmarshal(w.Body.Bytes(), &match); err != nil || w.Code != http.StatusOK || len(match.Present["a"]) != 1 || len(match.Present["c"]) != 2 ||
			string(match.States["c"]) != stateOf("c") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		whole := match.Present["b"] != nil && match.States["b"] != nil
		absent := match.Present["b"] == nil && match.States["b"] == nil
		if named := slices.Contains(match.Unreadable, "b"); whole && named || !whole && !absent && !named {
			t.Fatalf("%q and %q: %s", present, state, w.Body)
		}
		w = r.ask("GET", "/api/rooms/b", "", admin())
		if !json.Valid(w.Body.Bytes()) || w.Code != http.StatusOK && w.Code != http.StatusServiceUnavailable || w.Code == http.StatusOK && string(match.States["b"]) == "" {
			t.Fatalf("%q: %d %s", state, w.Code, w.Body)
		}
	})
}

func rowOf(list roomsAnswer, name string, participants int) bool {
	return slices.ContainsFunc(list.Rooms, func(r roomRow) bool {
		return r.Name == name && r.Participants == participants && r.CreatedAt == 11 && r.LastUpdated == 22
	})
}

// FuzzAdmission asks with arbitrary Authorization and Host headers and checks that only the admin token is accepted, and
// that no answer contains it.
func FuzzAdmission(f *testing.F) {
	f.Add("Bearer "+adminToken, "localhost")
	f.Add("bearer  "+adminToken+" ", "example.org")
	f.Add("Basic "+adminToken, "[::1]:80")
	f.Add("", "127.0.0.1")
	f.Add(adminToken, "localhost:8080")
	r := silentRig(f, &node{})
	open := newRig(f, &node{}, func(c *Config) { c.Log = slog.New(slog.DiscardHandler) })
	f.Fuzz(func(t *testing.T, authorization, host string) {
		at := func(r *http.Request) { r.Host = host }
		w := r.ask("GET", "/api/drift", "", header("Authorization", authorization), at)
		fields := strings.Fields(authorization)
		is := len(fields) == 2 && strings.EqualFold(fields[0], "Bearer") && fields[1] == adminToken
		if w.Code == http.StatusOK && !is || w.Code != http.StatusOK && w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), adminToken) {
			t.Fatalf("%q: %d %s", authorization, w.Code, w.Body)
		}
		if authorization == "Bearer "+adminToken && w.Code != http.StatusOK {
			t.Fatalf("the admin token: %d", w.Code)
		}
		name := strings.ToLower(strings.Trim(strings.TrimRight(host, "0123456789"), "[]:"))
		if w := open.ask("GET", "/api/drift", "", at); w.Code == http.StatusOK && name != "localhost" && !strings.Contains(host, "127.") && !strings.Contains(host, ":") {
			t.Fatalf("a caller that names %q needs no token", host)
		}
	})
}

// FuzzEventIDs reads ids of events as watchers send them and checks that they have a total order, and that a position is the
// same after it is written and read again.
func FuzzEventIDs(f *testing.F) {
	f.Add("5-1", "5-9223372036854775808")
	f.Add("0-0", "0-18446744073709551615")
	f.Add("5", "-1-")
	f.Add("18446744073709551616-0", "+1-1")
	f.Fuzz(func(t *testing.T, a, b string) {
		aMs, aN, aOK := numbersOf(a)
		bMs, bN, bOK := numbersOf(b)
		if ahead, back := follows(a, b), follows(b, a); aOK && bOK {
			if same := aMs == bMs && aN == bN; ahead && back || same == (ahead || back) {
				t.Fatalf("%q after %q: %v; before: %v", a, b, ahead, back)
			}
		} else if !ahead || !back {
			t.Fatalf("%q and %q: %v, %v", a, b, ahead, back)
		}
		for _, id := range []string{a, b} {
			p, ok := positionOf(id)
			if !ok {
				continue
			}
			again, ok := positionOf(p.id())
			if !ok || again != p || follows(p.before(), p.id()) {
				t.Fatalf("%q is %+v, then %+v, after %q", id, p, again, p.before())
			}
		}
	})
}

// FuzzFrames checks that what an HTTP/2 client sends is parsed alike in pieces of any size, and that a frame is reported as
// partial unless the input ends with a complete frame.
func FuzzFrames(f *testing.F) {
	headers := func(length byte, kind http2.FrameType, flags http2.Flags) string {
		return string([]byte{0, 0, length, byte(kind), byte(flags), 0, 0, 0, 1})
	}
	f.Add([]byte(http2.ClientPreface+headers(0, http2.FrameSettings, 0)), uint8(1))
	f.Add([]byte(http2.ClientPreface+headers(2, http2.FrameHeaders, 0)+"xx"+headers(1, http2.FrameContinuation, http2.FlagContinuationEndHeaders)+"x"), uint8(7))
	f.Add([]byte(http2.ClientPreface+headers(200, http2.FrameData, 0)+"x"), uint8(3))
	f.Fuzz(func(t *testing.T, sent []byte, size uint8) {
		whole, pieces := newFrameGuard(nil, 0), newFrameGuard(nil, 0)
		whole.follow(sent)
		for piece := range slices.Chunk(sent, int(size)+1) {
			pieces.follow(piece)
		}
		if whole.partial() != pieces.partial() || whole.need != pieces.need || whole.got != pieces.got || whole.block != pieces.block {
			t.Fatalf("%+v, in pieces %+v", whole, pieces)
		}
		if want := owes(sent); whole.partial() != want {
			t.Fatalf("owes the rest: %v, want %v", whole.partial(), want)
		}
	})
}

// owes parses the frames with all of the input at hand.
func owes(sent []byte) bool {
	if len(sent) < prefaceBytes {
		return true
	}
	block := false
	for sent = sent[prefaceBytes:]; len(sent) > 0; {
		if len(sent) < frameHeaderBytes {
			return true
		}
		length := int(binary.BigEndian.Uint32(sent)>>8) + frameHeaderBytes
		if kind := http2.FrameType(sent[3]); kind == http2.FrameHeaders || kind == http2.FrameContinuation {
			block = sent[4]&byte(http2.FlagHeadersEndHeaders) == 0
		}
		if len(sent) < length {
			return true
		}
		sent = sent[length:]
	}
	return block
}
