package browser

import (
	_ "embed"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

//go:embed types.js
var typesScript string

// found is the result of types.js.
type found struct {
	Exports, Client map[string][]taken
	Classes         map[string][]string
}

// taken is a parameter: the names that are destructured from it, and whether the rest is taken as well.
type taken struct {
	Keys []string
	Rest bool
}

// TestTypesAgree checks that the modules have what the .d.ts files declare.
func TestTypesAgree(t *testing.T) {
	b := open(t, newFake(t).URL, 1280)
	for _, name := range []string{"rollcall-client", "sync-status-indicator"} {
		d := readDeclared(t, name+".d.ts")
		has := browsertest.Eval[found](b, "("+strings.TrimSpace(typesScript)+")(a)", "/"+name+".js")
		d.agree(t, name, d.functions, has.Exports)
		if client := d.shapes["Client"]; client != nil {
			d.agree(t, "Client", client.methods, has.Client)
		}
		for class, members := range has.Classes {
			s := d.shapes[class]
			if want := slices.Sorted(maps.Keys(s.fields)); !slices.Equal(slices.Sorted(slices.Values(append(want, slices.Collect(maps.Keys(s.methods))...))), members) {
				t.Errorf("%s has %q; declared are %q and %q", class, members, want, slices.Sorted(maps.Keys(s.methods)))
			}
		}
	}
}

// agree compares functions with their declarations: their names, the number of parameters, and what is destructured from each.
func (d declared) agree(t *testing.T, where string, want map[string][]parameter, has map[string][]taken) {
	t.Helper()
	if w, h := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(has)); !slices.Equal(w, h) || len(w) == 0 {
		t.Errorf("%s: declared are %q, there are %q", where, w, h)
	}
	for name, parameters := range want {
		if len(parameters) != len(has[name]) {
			t.Errorf("%s, %s: %d parameters are declared, it has %d", where, name, len(parameters), len(has[name]))
			continue
		}
		for i, p := range parameters {
			names, one := d.names(p.typ), has[name][i]
			for _, key := range one.Keys {
				if !slices.Contains(names, key) {
					t.Errorf("%s, %s takes %s, which %s does not declare", where, name, key, p.typ)
				}
			}
			if !one.Rest && len(names) != len(one.Keys) {
				t.Errorf("%s, %s takes %q of %s, which declares %q", where, name, one.Keys, p.typ, names)
			}
		}
	}
}

// TestAnswersAgree checks that a real node's answers to the client have the declared types.
func TestAnswersAgree(t *testing.T) {
	p := newPlace(t)
	p.join("standup", "ada")
	b := open(t, p.URL(), 1280)
	b.Await(`seen("All present.")`)
	d := readDeclared(t, "rollcall-client.d.ts")
	for _, c := range []struct{ typ, script string }{
		{"ActionAnswer", "sync()"}, {"ActionAnswer", "cleanup()"}, {"ActionAnswer", "fullSync()"}, {"ActionAnswer", "stopService()"},
		{"ActionAnswer", "startService()"}, {"ActionAnswer", "sync({ dryRun: true })"}, {"SyncStatus", "status()"},
		{"ActionAnswer", `sync({ room: "standup" })`}, {"RoomSummary[]", "rooms()"}, {"Room", `room("standup")`}, {"Participant[]", `participants("standup")`},
	} {
		p.unheard(func() { p.join(c.script, "alan") })
		d.holds(t, c.script, c.typ, browsertest.Eval[any](b, `import("/rollcall-client.js").then((m) => m.createClient().`+c.script+`)`))
	}
}

// holds checks whether a JSON value is of a declared type, as far as names, numbers, strings and booleans go.
func (d declared) holds(t *testing.T, where, typ string, value any) {
	t.Helper()
	if element, ok := strings.CutSuffix(typ, "[]"); ok {
		list, _ := value.([]any)
		for _, one := range list {
			d.holds(t, where+"[]", element, one)
		}
		return
	}
	kinds := map[string]bool{"string": is[string](value), "number": is[float64](value), "boolean": is[bool](value)}
	if right, known := kinds[typ]; known && !right {
		t.Errorf("%s is %v, declared as %s", where, value, typ)
	}
	s := d.shapes[typ]
	if s == nil {
		return
	}
	object, _ := value.(map[string]any)
	for name, f := range s.fields {
		if _, there := object[name]; there {
			d.holds(t, where+"."+name, f.typ, object[name])
		} else if !f.optional {
			t.Errorf("%s has no %s, which %s declares", where, name, typ)
		}
	}
	for name := range object {
		if _, known := s.fields[name]; !known {
			t.Errorf("%s has %s, which %s does not declare", where, name, typ)
		}
	}
}

func is[T any](value any) bool { _, ok := value.(T); return ok }

// TestEventTypesAreDeclared checks that the .d.ts file declares the events that docs/api.md lists, and no others.
func TestEventTypesAreDeclared(t *testing.T) {
	types, err := os.ReadFile("../../internal/httpapi/web/static/rollcall-client.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	api, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, union, _ := strings.Cut(string(types), "export type RollcallEvent =")
	union, _, _ = strings.Cut(union, "\n\n")
	_, table, _ := strings.Cut(string(api), "\n| event | when | data |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	want := []string{"connected"}
	for line := range strings.Lines(table) {
		names, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for _, m := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(names, -1) {
			want = append(want, m[1])
		}
	}
	var got []string
	for line := range strings.Lines(union) {
		before, _, _ := strings.Cut(line, "; id:")
		for _, m := range regexp.MustCompile(`"([a-z]+)"`).FindAllStringSubmatch(before, -1) {
			got = append(got, m[1])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(want) < 5 {
		t.Errorf("declared are %q; docs/api.md lists %q", got, want)
	}
}
