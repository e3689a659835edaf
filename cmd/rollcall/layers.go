package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	envPrefix  = "ROLLCALL_"
	configFlag = "config"
)

// envName is the variable of a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// layer is one place where settings may stand.
type layer struct {
	// find returns a setting's text and its source.
	find func(s setting) (text, source string, ok bool)
}

// rawValue is a flag that keeps its text, whatever it is: all texts, from
// wherever, go through one parser, and all that is wrong is told at once.
type rawValue struct {
	text, kind string
	list, set  bool
}

func (v *rawValue) String() string { return v.text }
func (v *rawValue) Type() string   { return v.kind }

// Set keeps the text; a list grows with each flag.
func (v *rawValue) Set(s string) error {
	if v.list && v.set {
		s = v.text + "," + s
	}
	v.text, v.set = s, true
	return nil
}

// addSettingFlags defines the flags of every setting, and --config.
func addSettingFlags(flags *pflag.FlagSet) {
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

// readLayers returns the layers, the strongest first.
func readLayers(flags *pflag.FlagSet, environ []string, p *problems) []layer {
	vars := readEnv(environ)
	refuseRemoved(flags, vars, p)
	layers := []layer{flagLayer(flags), envLayer(vars)}
	path, _ := flags.GetString(configFlag)
	if path == "" {
		path = vars[envName(configFlag)]
	}
	if path != "" {
		layers = append(layers, fileLayer(path, p))
	}
	return append(layers, otherToolsLayer(vars))
}

// otherToolsLayer has the variables by which LiveKit's own tools know a setting. They are often set for those alone, so whatever is
// said to rollcall is stronger.
func otherToolsLayer(vars map[string]string) layer {
	return layer{find: func(s setting) (string, string, bool) {
		value, ok := vars[s.otherTools]
		return value, "env " + s.otherTools, ok
	}}
}

func flagLayer(flags *pflag.FlagSet) layer {
	k := koanf.New("")
	// A flag set always loads: the provider has nothing that can fail.
	_ = k.Load(posflag.ProviderWithFlag(flags, "", nil, func(f *pflag.Flag) (string, any) {
		return f.Name, f.Value.String()
	}), nil)
	return layer{find: func(s setting) (string, string, bool) {
		return k.String(s.name), "flag", k.Exists(s.name)
	}}
}

// readEnv returns the variables that are set and not empty: an empty one is
// what compose files make of an unset one.
func readEnv(environ []string) map[string]string {
	k := koanf.New("")
	_ = k.Load(env.Provider("", env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			return name, value
		},
	}), nil)
	vars := map[string]string{}
	for name, value := range k.Raw() {
		vars[name] = fmt.Sprint(value)
	}
	return vars
}

func envLayer(vars map[string]string) layer {
	return layer{find: func(s setting) (string, string, bool) {
		// ROLLCALL_… stands last and is the more deliberate one.
		for _, name := range slices.Backward(s.env) {
			if value, ok := vars[name]; ok {
				return value, "env " + name, true
			}
		}
		return "", "", false
	}}
}

// fileLayer reads the file; what is wrong with it goes to p.
func fileLayer(path string, p *problems) layer {
	wrong := func(format string, args ...any) {
		p.lines = append(p.lines, "--config, "+envName(configFlag)+": "+hideURLUser(fmt.Sprintf(format, args...), path))
	}
	none := layer{find: func(setting) (string, string, bool) { return "", "", false }}
	if _, err := os.ReadFile(path); err != nil {
		wrong("%v: give the path of a readable YAML file", err)
		return none
	}
	k := koanf.New("")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		// The parser's own words may quote a secret; its line number does not.
		line := regexp.MustCompile(`line \d+`).FindString(err.Error())
		wrong("%q is not YAML of lines \"flag: value\"%s: give lines such as sync-interval: 30s", path, strings.TrimSuffix(" at "+line, " at "))
		return none
	}
	values := map[string]string{}
	known := map[string]setting{}
	for _, s := range settings() {
		known[s.name] = s
	}
	for _, key := range sortedKeys(k.Raw()) {
		s, ok := known[key]
		if instead, gone := removedSettings()[key]; gone {
			wrong("%s in %q: %s", key, path, removedText(instead))
			continue
		}
		if !ok {
			wrong("%q in %q is not a setting: %s", key, path, suggestion(key, known))
			continue
		}
		text, isSet, err := yamlText(s, k.Raw()[key])
		if err != nil {
			wrong("%s in %q: %v", key, path, err)
		} else if isSet {
			values[key] = text
		}
	}
	return layer{find: func(s setting) (string, string, bool) {
		text, ok := values[s.name]
		return text, "file " + path, ok
	}}
}

// yamlText makes a flag's text of a YAML value: lists are joined by commas, and
// pairs become a JSON object.
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
		pairs, err := json.Marshal(v) // JSON is YAML, and keeps a secret with a comma whole
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
