package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// switchKind is the kind of a setting whose default depends on other settings. As a flag without a value it is true.
const switchKind = "auto|true|false"

// The kinds of settings. Each function makes a setting that parses its text into the field that field points to.

func text(name, group, help string, field func(*Config) *string) setting {
	return setting{
		name: name, kind: "string", group: group, help: help,
		set: func(c *Config, s string) error {
			if HasControlOrSpace(s) {
				return fmt.Errorf("%q holds a space or control character: give it without", s)
			}
			*field(c) = s
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}

func secretText(name, group, help string, field func(*Config) *Secret) setting {
	return setting{
		name: name, kind: "string", group: group, help: help, secret: true,
		set: func(c *Config, s string) error {
			if HasControlOrSpace(s) {
				return errors.New("the value (not shown) holds a space or control character: give it without, and without a line end")
			}
			*field(c) = Secret(s)
			return nil
		},
		show:  func(c *Config) string { return field(c).String() },
		value: func(c *Config) any { return *field(c) },
	}
}

// live returns the setting as one that a running node can take a new value of.
func (s setting) live() setting {
	s.reload = true
	return s
}

func path(name, help string, field func(*Config) *string) setting {
	return setting{
		name: name, kind: "file", group: groupTLS, help: help,
		set:  func(c *Config, s string) error { *field(c) = s; return nil },
		show: func(c *Config) string { return *field(c) },
	}
}

func redisFile(name, help string, field func(*Config) *string) setting {
	s := path(name, help, field)
	s.group = groupRedis
	return s
}

func dataDir() setting {
	return setting{
		name: "data-dir", kind: "directory", def: "./rollcall-data", group: groupCluster,
		help: "where raft's log and the node's name are kept; must outlive restarts",
		set: func(c *Config, s string) error {
			if s == "" {
				return errors.New("empty: give a directory, such as /var/lib/rollcall")
			}
			c.DataDir = s
			return nil
		},
		show: func(c *Config) string { return c.DataDir },
	}
}

func toggle(name, def, group, help string, field func(*Config) *bool) setting {
	return setting{
		name: name, kind: "bool", def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			v, err := strconv.ParseBool(s)
			if err != nil {
				return fmt.Errorf("%q is neither true nor false: give one of them", s)
			}
			*field(c) = v
			return nil
		},
		show: func(c *Config) string { return showBool(*field(c)) },
	}
}

func number[N int | int64](name, def, group, help string, field func(*Config) *N, least, most N) setting {
	return setting{
		name: name, kind: "number", def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			v, err := strconv.ParseInt(s, 10, 64)
			if err != nil || v < int64(least) || v > int64(most) {
				return fmt.Errorf("%q is not a whole number from %d to %d: give one, such as %s", s, least, most, def)
			}
			*field(c) = N(v)
			return nil
		},
		show: func(c *Config) string { return fmt.Sprint(*field(c)) },
	}
}

func rate(name, def, group, help string, field func(*Config) *float64, most float64) setting {
	return setting{
		name: name, kind: "number", def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			v, err := strconv.ParseFloat(s, 64)
			// Written so that NaN fails too.
			if err != nil || !(v >= 0 && v <= most) {
				return fmt.Errorf("%q is not a number from 0 to %g: give one, such as 15 or 0.5; 0 is no limit", s, most)
			}
			*field(c) = v
			return nil
		},
		show: func(c *Config) string { return strconv.FormatFloat(*field(c), 'g', -1, 64) },
	}
}

func duration(name, def, group, help string, field func(*Config) *time.Duration, least, most time.Duration) setting {
	return setting{
		name: name, kind: "duration", def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			v, err := time.ParseDuration(s)
			if err != nil || v < least || v > most {
				return fmt.Errorf("%q is not a duration from %s to %s: give one with its unit, such as %s", s, FormatDuration(least), FormatDuration(most), def)
			}
			*field(c) = v
			return nil
		},
		show: func(c *Config) string { return FormatDuration(*field(c)) },
	}
}

func oneOf(name, def, group, help string, field func(*Config) *string, choices ...string) setting {
	return setting{
		name: name, kind: strings.Join(choices, "|"), def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			if !slices.Contains(choices, s) {
				return fmt.Errorf("%q is not one of the choices: give %s", s, joinOr(choices))
			}
			*field(c) = s
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}

func address(name, def, group, help string, field func(*Config) *string) setting {
	return addressSetting(name, def, group, help, field, func(s string) error { return checkListenAddr(s, def) })
}

func advertise(name, group, help string, field func(*Config) *string) setting {
	return addressSetting(name, "", group, help, field, func(s string) error {
		if s == "" {
			return nil
		}
		return checkDialAddr(s)
	})
}

func addressSetting(name, def, group, help string, field func(*Config) *string, check func(string) error) setting {
	return setting{
		name: name, kind: "host:port", def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			if err := check(s); err != nil {
				return err
			}
			*field(c) = s
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}
