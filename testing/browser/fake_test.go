package browser

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/httpapi/web"
)

type object = map[string]any

// fake is a node with scripted answers. Its fields are read and changed under mu, by with.
type fake struct {
	*httptest.Server
	files *web.Files

	mu      sync.Mutex
	rooms   map[string]object // rooms:states by name
	partial bool              // the list lacks rooms
	livekit map[string]object // where LiveKit's answer differs from rooms
	lines   map[string][]object
	status  object
	cluster object
	stats   object
	drift   object
	answers map[string]object // by action
	failing map[string]int    // path → status
	says    map[int]string    // status → the error of those
	token   string            // required token; "" for none
	origin  string            // allowed by CORS
	dead    bool              // breaks every connection
	noFeed  bool              // has no /api/events
	holding chan struct{}     // if not nil, an action waits until it is closed
	// wholeFeedRefused makes the node act as for a token that may read only one room.
	wholeFeedRefused bool
	asked            []object // received actions
	seen             []string // requests to the API, with their query
	ears             map[chan string]bool
	events           int
}

func newFake(t *testing.T, change ...func(*fake)) *fake {
	t.Helper()
	files, err := web.New()
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{files: files, ears: map[chan string]bool{}, failing: map[string]int{}, says: map[int]string{}}
	f.script()
	for _, c := range change {
		c(f)
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.with(func() {
			for ear := range f.ears {
				close(ear)
			}
			f.ears = nil
		})
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// member returns a member of the cluster.
func (f *fake) member(i int) object { return f.cluster["members"].([]object)[i] }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	dead, origin, token, failing := f.dead, f.origin, f.token, f.failing[r.URL.Path]
	says := cmp.Or(f.says[failing], "Redis cannot be read now; try again shortly")
	if strings.HasPrefix(r.URL.Path, "/api/") {
		f.seen = append(f.seen, r.URL.RequestURI())
	}
	f.mu.Unlock()
	if origin != "" && r.Header.Get("Origin") == origin {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	switch {
	case dead:
		panic(http.ErrAbortHandler)
	case !strings.HasPrefix(r.URL.Path, "/api/"):
		f.files.ServeHTTP(w, r)
	case token != "" && r.Header.Get("Authorization") != "Bearer "+token:
		refuse(w, http.StatusUnauthorized, "Unauthorized")
	case failing != 0:
		refuse(w, failing, says)
	default:
		f.api(w, r)
	}
}

func (f *fake) api(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	switch path := r.URL.Path; {
	case path == "/api/sync-rooms" && r.Method == http.MethodPost:
		f.act(w, r)
	case path == "/api/sync-rooms":
		f.write(w, func() any { return f.statusNow() })
	case path == "/api/cluster":
		f.write(w, func() any { return f.cluster })
	case path == "/api/stats":
		f.write(w, func() any { return f.stats })
	case path == "/api/drift":
		f.write(w, func() any { return f.drift })
	case path == "/api/events":
		f.feed(w, r)
	case path == "/api/rooms/timeline":
		f.write(w, func() any { return object{"room": name, "entries": f.lines[name]} })
	case path == "/api/rooms/livekit":
		f.write(w, func() any { return f.look(name) })
	case path == "/api/rooms" && r.URL.Query().Has("name"):
		f.mu.Lock()
		_, ok := f.rooms[name]
		f.mu.Unlock()
		if !ok {
			refuse(w, http.StatusNotFound, "No such room now")
			return
		}
		f.write(w, func() any { return f.rooms[name] })
	case path == "/api/rooms":
		f.write(w, func() any { return f.page(r) })
	default:
		refuse(w, http.StatusNotFound, "No such endpoint")
	}
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"error": text})
}

// write encodes under the lock, because the test may change the value at any time.
func (f *fake) write(w http.ResponseWriter, value func() any) {
	f.mu.Lock()
	body, err := json.Marshal(value())
	f.mu.Unlock()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (f *fake) statusNow() object {
	now := maps.Clone(f.status)
	now["timestamp"] = iso(time.Now())
	return now
}

// page returns one page of the list, by name, as the API does.
func (f *fake) page(r *http.Request) object {
	query := r.URL.Query()
	limit, _ := strconv.Atoi(cmp.Or(query.Get("limit"), "100"))
	after, _ := base64.RawURLEncoding.DecodeString(query.Get("cursor"))
	rows := []object{}
	for _, name := range slices.Sorted(maps.Keys(f.rooms)) {
		if name <= string(after) && len(after) > 0 || !strings.Contains(strings.ToLower(name), strings.ToLower(query.Get("search"))) {
			continue
		}
		if len(rows) == limit {
			return object{"rooms": rows, "nextCursor": base64.RawURLEncoding.EncodeToString([]byte(rows[limit-1]["roomName"].(string)))}
		}
		room := f.rooms[name]
		rows = append(rows, object{"roomName": name, "participantCount": len(people(room)), "createdAt": room["createdAt"], "lastUpdated": room["lastUpdated"]})
	}
	if f.partial {
		return object{"rooms": rows, "incomplete": true}
	}
	return object{"rooms": rows}
}

func (f *fake) look(name string) object {
	if said, ok := f.livekit[name]; ok {
		return said
	}
	room, listed := f.rooms[name]
	if !listed {
		return object{"room": name, "listed": false, "sid": "", "participants": []object{}}
	}
	return object{"room": name, "listed": true, "sid": room["sid"], "participants": people(room)}
}

func (f *fake) act(w http.ResponseWriter, r *http.Request) {
	var order object
	_ = json.NewDecoder(r.Body).Decode(&order)
	f.mu.Lock()
	f.asked = append(f.asked, order)
	hold := f.holding
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	action := fmt.Sprint(order["action"])
	f.mu.Lock()
	leader := f.status["leader"]
	if action == "start-service" || action == "stop-service" {
		f.status["syncServiceRunning"] = action == "start-service"
	}
	f.mu.Unlock()
	if leader == nil {
		refuse(w, http.StatusServiceUnavailable, "The cluster has no leader now; try again shortly")
		return
	}
	f.write(w, func() any { return f.answer(action, order) })
}

func (f *fake) answer(action string, order object) object {
	key := action
	for _, option := range []string{"dryRun", "force"} {
		if order[option] == true {
			key += " " + option
		}
	}
	answer := maps.Clone(f.answers[key])
	if answer == nil {
		answer = maps.Clone(f.answers[action])
	}
	answer["action"], answer["timestamp"] = action, iso(time.Now())
	if room, one := order["room"]; one {
		answer["room"], answer["result"] = room, object{"synced": 1, "errors": 0, "cleaned": 0}
	}
	return answer
}

// feed serves GET /api/events.
func (f *fake) feed(w http.ResponseWriter, r *http.Request) {
	ear := make(chan string, 10_000)
	f.mu.Lock()
	if f.noFeed || f.ears == nil {
		f.mu.Unlock()
		refuse(w, http.StatusNotFound, "No such endpoint")
		return
	}
	if f.wholeFeedRefused && !r.URL.Query().Has("room") {
		f.mu.Unlock()
		refuse(w, http.StatusForbidden, "The token does not allow this")
		return
	}
	f.ears[ear] = true
	f.mu.Unlock()
	defer f.with(func() { delete(f.ears, ear) })
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprint(w, ": hello\n\n")
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case event, ok := <-ear:
			if !ok {
				return
			}
			if _, err := fmt.Fprint(w, event); err != nil {
				return
			}
			if len(ear) == 0 {
				_ = http.NewResponseController(w).Flush()
			}
		case <-r.Context().Done():
			return
		}
	}
}

// send sends an event to all listeners. The caller holds the lock.
func (f *fake) send(event string, value object) {
	data, _ := json.Marshal(value)
	f.events++
	for ear := range f.ears {
		ear <- fmt.Sprintf("id: %d-0\nevent: %s\ndata: %s\n\n", f.events, event, data)
	}
}

// listeners returns the number of open feeds.
func (f *fake) listeners() (n int) {
	f.with(func() { n = len(f.ears) })
	return n
}

// hangUp ends all feeds, as a restart of a proxy does.
func (f *fake) hangUp() {
	f.with(func() {
		for ear := range f.ears {
			close(ear)
			delete(f.ears, ear)
		}
	})
}
