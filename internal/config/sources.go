package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const (
	envPrefix  = "ROLLCALL_"
	configFlag = "config"
)

// EnvName returns the environment variable of a flag.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// source is one place where settings may be set. It returns a setting's text and its source.
type source func(s setting) (text, source string, ok bool)

// rawValue is a flag that stores its text unparsed: all texts, from whatever source, go through one parser, and all problems
// are reported at once.
type rawValue struct {
	text, kind string
	list, set  bool
}

func (v *rawValue) String() string { return v.text }
func (v *rawValue) Type() string   { return v.kind }

// Set stores the text; a list grows with each flag.
func (v *rawValue) Set(s string) error {
	if v.list && v.set {
		s = v.text + "," + s
	}
	v.text, v.set = s, true
	return nil
}

// AddFlags defines the flags of every setting, and --config.
func AddFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.String(configFlag, "", "YAML `file` with lines \"flag: value\"")
	for _, s := range settings() {
		help := s.help
		if len(s.env) > 1 {
			help += " (" + s.env[0] + ")"
		}
		f := flags.VarPF(&rawValue{text: s.def, kind: s.kind, list: s.list}, s.name, "", help)
		if s.kind == "bool" || s.kind == switchKind {
			f.NoOptDefVal = "true"
		}
	}
	addRemovedFlags(flags)
}

// readSources returns the sources, in the order of their precedence.
func readSources(flags *pflag.FlagSet, environ []string, p *problems) []source {
	vars := Environment(environ)
	refuseRemoved(flags, vars, p)
	layers := []source{flagSource(flags), envSource(vars)}
	path, _ := flags.GetString(configFlag)
	if path = cmp.Or(path, vars[EnvName(configFlag)]); path != "" {
		layers = append(layers, fileSource(path, p))
	}
	return append(layers, otherToolsSource(vars))
}

// otherToolsSource holds the variables that other tools, such as LiveKit's own, use for a setting. They are often set for those tools alone,
// so every other source takes precedence.
func otherToolsSource(vars map[string]string) source {
	return func(s setting) (string, string, bool) {
		for _, name := range s.otherTools {
			if value, ok := vars[name]; ok {
				return value, "env " + name, true
			}
		}
		return "", "", false
	}
}

func flagSource(flags *pflag.FlagSet) source {
	return func(s setting) (string, string, bool) {
		f := flags.Lookup(s.name)
		if f == nil || !f.Changed {
			return "", "", false
		}
		return f.Value.String(), "flag", true
	}
}

// Environment returns the variables that are set and not empty: compose files turn an unset variable into an empty one.
func Environment(environ []string) map[string]string {
	vars := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			vars[name] = value
		}
	}
	return vars
}

func envSource(vars map[string]string) source {
	return func(s setting) (string, string, bool) {
		// ROLLCALL_… is last in the list and takes precedence, because it is the more deliberate one.
		for _, name := range slices.Backward(s.env) {
			if value, ok := vars[name]; ok {
				return value, "env " + name, true
			}
		}
		return "", "", false
	}
}

// fileSource reads the file; its problems go to p.
func fileSource(path string, p *problems) source {
	wrong := func(format string, args ...any) {
		p.lines = append(p.lines, "--config, "+EnvName(configFlag)+": "+hideURLUser(fmt.Sprintf(format, args...), path))
	}
	none := func(setting) (string, string, bool) { return "", "", false }
	text, err := os.ReadFile(path)
	if err != nil {
		wrong("%v: give the path of a readable YAML file", err)
		return none
	}
	var given map[string]any
	if err := yaml.Unmarshal(text, &given); err != nil {
		// The parser's own text may quote a secret; its line number does not, nor does the name of a setting.
		p.unreadable = true
		line := regexp.MustCompile(`line \d+`).FindString(err.Error())
		if twice := regexp.MustCompile(`mapping key "([a-z-]+)" already defined at (line \d+)`).FindStringSubmatch(err.Error()); twice != nil && isSetting(twice[1]) {
			wrong("%q has %s twice, at %s and %s: keep one of the two", path, twice[1], twice[2], line)
			return none
		}
		wrong("%q is not YAML of lines \"flag: value\"%s: give lines such as sync-interval: 30s", path, strings.TrimSuffix(" at "+line, " at "))
		return none
	}
	values := map[string]string{}
	known := map[string]setting{}
	for _, s := range settings() {
		known[s.name] = s
	}
	for _, key := range sortedKeys(given) {
		s, ok := known[key]
		if instead, gone := removedSettings()[key]; gone {
			wrong("%s in %q: %s", key, path, removedText(instead))
			continue
		}
		if !ok {
			wrong("%q in %q is not a setting: %s", key, path, suggestion(key, known))
			continue
		}
		text, isSet, err := yamlText(s, given[key])
		if err != nil {
			wrong("%s in %q: %v", key, path, err)
		} else if isSet {
			values[key] = text
		}
	}
	return func(s setting) (string, string, bool) {
		text, ok := values[s.name]
		return text, "file " + path, ok
	}
}

func isSetting(name string) bool {
	return slices.ContainsFunc(settings(), func(s setting) bool { return s.name == name })
}

// yamlText converts a YAML value to the text of a flag: lists are joined by commas, and pairs become a JSON object.
func yamlText(s setting, value any) (text string, ok bool, err error) {
	switch v := value.(type) {
	case nil:
		return "", false, nil
	case map[string]any:
		if s.kind != "pairs" {
			return "", false, fmt.Errorf("give one value, not a block")
		}
		for _, secret := range v {
			if _, isText := secret.(string); !isText {
				return "", false, fmt.Errorf("the secret of a pair (not shown) is not text: put it in quotes")
			}
		}
		pairs, err := json.Marshal(v) // JSON is YAML, and keeps a secret that contains a comma in one piece
		return string(pairs), true, err
	case []any:
		if !s.list {
			return "", false, fmt.Errorf("give one value, not a list")
		}
		var items []string
		for _, item := range v {
			items = append(items, fmt.Sprint(item))
		}
		return strings.Join(items, ","), true, nil
	case string:
		return v, true, nil
	default:
		// YAML would turn 0123 into 83 and a long number into a float.
		if s.secret || s.kind == "string" {
			return "", false, fmt.Errorf("the value is a number or truth value to YAML: put it in quotes")
		}
		return fmt.Sprint(v), true, nil
	}
}
