package browser

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// declared is the content of a .d.ts file that has one declaration a line, as ours do.
type declared struct {
	functions map[string][]parameter // exported functions, and classes by their constructor
	shapes    map[string]*shape      // interfaces and classes
}

type shape struct {
	extends string
	class   bool
	fields  map[string]field
	methods map[string][]parameter
}

type field struct {
	optional bool
	typ      string
}

type parameter struct{ typ string }

var (
	block    = regexp.MustCompile(`(?m)^export (interface|declare class) (\w+)(?: extends (\w+))? \{\n((?:.*\n)*?)\}`)
	member   = regexp.MustCompile(`(?m)^  (?:readonly )?(\w+)(\??)(?:<.*?>)?(?:\((.*)\))?(?:: ([^()\n]*))?;$`)
	function = regexp.MustCompile(`(?m)^export declare function (\w+)\((.*)\): `)
	inline   = regexp.MustCompile(`(\w+)\??: `)
)

func readDeclared(t *testing.T, name string) declared {
	t.Helper()
	raw, err := os.ReadFile("../../internal/httpapi/web/static/" + name)
	if err != nil {
		t.Fatal(err)
	}
	d := declared{functions: map[string][]parameter{}, shapes: map[string]*shape{}}
	for _, m := range function.FindAllStringSubmatch(string(raw), -1) {
		d.functions[m[1]] = parameters(m[2])
	}
	for _, m := range block.FindAllStringSubmatch(string(raw), -1) {
		s := &shape{extends: m[3], class: m[1] != "interface", fields: map[string]field{}, methods: map[string][]parameter{}}
		for _, f := range member.FindAllStringSubmatch(m[4], -1) {
			if strings.Contains(f[0], "(") {
				s.methods[f[1]] = parameters(f[3])
			} else {
				s.fields[f[1]] = field{optional: f[2] != "", typ: f[4]}
			}
		}
		if d.shapes[m[2]] = s; s.class {
			d.functions[m[2]] = s.methods["constructor"]
			delete(s.methods, "constructor")
		}
	}
	return d
}

// parameters parses a parameter list whose types contain no commas.
func parameters(list string) (found []parameter) {
	for one := range strings.SplitSeq(list, ", ") {
		if _, typ, ok := strings.Cut(one, ": "); ok {
			found = append(found, parameter{typ})
		}
	}
	return found
}

// names returns the fields of a type: of interfaces by name, joined by &, or of an inline type.
func (d declared) names(typ string) (names []string) {
	if strings.HasPrefix(typ, "{") {
		for _, m := range inline.FindAllStringSubmatch(typ, -1) {
			names = append(names, m[1])
		}
		return names
	}
	for one := range strings.SplitSeq(typ, " & ") {
		for s := d.shapes[one]; s != nil; s = d.shapes[s.extends] {
			for name := range s.fields {
				names = append(names, name)
			}
		}
	}
	return names
}
