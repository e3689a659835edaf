package browser

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/browsertest"
)

// shape is what a module exports, as "name", and what those have, as "name.member", with the number of parameters of each
// function and method, or -1 for what is none.
type shape map[string]int

var (
	declared = regexp.MustCompile(`(?m)^export (?:declare (class|function)|interface) (\w+)`)
	member   = regexp.MustCompile(`^  (?:readonly )?(\w+)(?:<[^>]*>+)?\??([(:])`)
)

// declaration reads a .d.ts as this project writes them: a declaration begins its line, a member is indented by two blanks.
// An interface of other name than Client is data, which no module can show.
func declaration(text string) shape {
	s, owner := shape{}, ""
	for line := range strings.Lines(text) {
		if found := declared.FindStringSubmatch(line); found != nil {
			kind, name := found[1], found[2]
			switch owner = ""; kind {
			case "function":
				s[name] = parameters(line)
			case "class":
				owner, s[name] = name, -1
			default:
				owner = map[string]string{"Client": "createClient()"}[name]
			}
		} else if found := member.FindStringSubmatch(line); found != nil && owner != "" {
			s[owner+"."+found[1]] = -1
			if found[2] == "(" {
				s[owner+"."+found[1]] = parameters(line)
			}
		} else if strings.HasPrefix(line, "}") {
			owner = ""
		}
	}
	return s
}

// parameters counts those of the first list in a function's text, of either language.
func parameters(text string) int {
	depth, n, empty := 0, 0, true
	for _, r := range text[strings.Index(text, "("):] {
		switch {
		case strings.ContainsRune("([{", r):
			depth++
			empty = empty && depth == 1
		case strings.ContainsRune(")]}", r):
			if depth--; depth == 0 {
				if empty {
					return 0
				}
				return n + 1
			}
		case r == ',' && depth == 1:
			n++
		case r != ' ':
			empty = false
		}
	}
	return n
}

// exports is the module's shape in the browser: the text of each function, "" for what is none.
const exports = `import(a).then((module) => {
	const found = {};
	const note = (name, of) => {
		for (const [key, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(of))) {
			if (!/^(constructor|name|message|stack|cause|\w+Callback)$/.test(key)) found[name + "." + key] = typeof value === "function" && !get ? String(value) : "";
		}
	};
	for (const [name, value] of Object.entries(module)) {
		const made = /^class/.test(value);
		found[name] = made ? "" : String(value);
		if (!made) continue;
		note(name, value.prototype);
		if (value.prototype instanceof Error) {
			note(name, new value("x"));
			found[name + ".constructor"] = String(value).match(/constructor\([^]*?\) \{/)[0];
		}
	}
	if (module.createClient) note("createClient()", module.createClient());
	return found;
})`

// TestTypes holds the .d.ts files to what the modules are in a browser. The page's own policy lets it import them.
func TestTypes(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	for _, module := range []string{"rollcall-client", "sync-status-indicator"} {
		text, err := os.ReadFile(filepath.Join("../../internal/httpapi/web/static", module+".d.ts"))
		if err != nil {
			t.Fatal(err)
		}
		want, got := declaration(string(text)), shape{}
		for name, text := range browsertest.Eval[map[string]string](b, exports, "/"+module+".js") {
			got[name] = -1
			if text != "" {
				got[name] = parameters(text)
			}
		}
		if len(want) < 5 {
			t.Fatalf("%s.d.ts was not understood: %v", module, want)
		}
		names := maps.Clone(want)
		maps.Copy(names, got)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			w, declared := want[name]
			g, there := got[name]
			switch {
			case !there:
				t.Errorf("%s.js has no %s, which its types declare", module, name)
			case !declared:
				t.Errorf("%s.d.ts does not declare %s", module, name)
			case w != g:
				t.Errorf("%s: %s has %d parameters, %d by its types (-1: it is no function)", module, name, g, w)
			}
		}
	}
}
