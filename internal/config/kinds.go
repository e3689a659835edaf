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
	return checked(name, "string", "", group, help, field, func(s string) error {
		if HasControlOrSpace(s) {
			return fmt.Errorf("%q holds a space or control character: give it without", s)
		}
		return nil
	})
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
	return checked(name, "file", "", groupTLS, help, field, anyText)
}

func anyText(string) error { return nil }

func redisFile(name, help string, field func(*Config) *string) setting {
	s := path(name, help, field)
	s.group = groupRedis
	return s
}

func dataDir() setting {
	return checked("data-dir", "directory", "./rollcall-data", groupCluster, "where raft's log and the node's name are kept; must outlive restarts",
		func(c *Config) *string { return &c.DataDir }, func(s string) error {
			if s == "" {
				return errors.New("empty: give a directory, such as /var/lib/rollcall")
			}
			return nil
		})
}

func toggle(name, def, group, help string, field func(*Config) *bool) setting {
	return parsed(name, "bool", def, group, help, field, func(s string) (bool, error) {
		v, err := strconv.ParseBool(s)
		if err != nil {
			err = fmt.Errorf("%q is neither true nor false: give one of them", s)
		}
		return v, err
	}, showBool)
}

func number[N int | int64](name, def, group, help string, field func(*Config) *N, least, most N) setting {
	return parsed(name, "number", def, group, help, field, func(s string) (N, error) {
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil || v < int64(least) || v > int64(most) {
			err = fmt.Errorf("%q is not a whole number from %d to %d: give one, such as %s", s, least, most, def)
		}
		return N(v), err
	}, func(v N) string { return fmt.Sprint(v) })
}

func rate(name, def, group, help string, field func(*Config) *float64, most float64) setting {
	return parsed(name, "number", def, group, help, field, func(s string) (float64, error) {
		v, err := strconv.ParseFloat(s, 64)
		// Written so that NaN fails too.
		if err != nil || !(v >= 0 && v <= most) {
			err = fmt.Errorf("%q is not a number from 0 to %g: give one, such as 15 or 0.5; 0 is no limit", s, most)
		}
		return v, err
	}, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
}

func duration(name, def, group, help string, field func(*Config) *time.Duration, least, most time.Duration) setting {
	return parsed(name, "duration", def, group, help, field, func(s string) (time.Duration, error) {
		v, err := time.ParseDuration(s)
		if err != nil || v < least || v > most {
			err = fmt.Errorf("%q is not a duration from %s to %s: give one with its unit, such as %s", s, FormatDuration(least), FormatDuration(most), def)
		}
		return v, err
	}, FormatDuration)
}

func oneOf(name, def, group, help string, field func(*Config) *string, choices ...string) setting {
	return checked(name, strings.Join(choices, "|"), def, group, help, field, func(s string) error {
		if !slices.Contains(choices, s) {
			return fmt.Errorf("%q is not one of the choices: give %s", s, joinOr(choices))
		}
		return nil
	})
}

func address(name, def, group, help string, field func(*Config) *string) setting {
	return checked(name, "host:port", def, group, help, field, func(s string) error { return checkListenAddr(s, def) })
}

func advertise(name, group, help string, field func(*Config) *string) setting {
	return checked(name, "host:port", "", group, help, field, func(s string) error {
		if s == "" {
			return nil
		}
		return checkDialAddr(s)
	})
}

// checked is a setting whose text is the value, if check accepts it.
func checked(name, kind, def, group, help string, field func(*Config) *string, check func(string) error) setting {
	return parsed(name, kind, def, group, help, field, func(s string) (string, error) { return s, check(s) }, func(s string) string { return s })
}

func parsed[T any](name, kind, def, group, help string, field func(*Config) *T, parse func(string) (T, error), show func(T) string) setting {
	return setting{
		name: name, kind: kind, def: def, group: group, help: help,
		set: func(c *Config, s string) error {
			v, err := parse(s)
			if err == nil {
				*field(c) = v
			}
			return err
		},
		show: func(c *Config) string { return show(*field(c)) },
	}
}
