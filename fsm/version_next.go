//go:build nextversion

package fsm

import "fmt"

// This file makes the build a later one for tests: it has a format, a command and an ownership hash that this version does not have.

// Format and HashVersion are one more than this version's.
const (
	Format      = 2
	HashVersion = 2
)

// Later is a command that only the later build has.
type Later struct {
	Text string `json:"text"`
}

func (Later) op() string { return "later" }

// Format returns the format that brought the command.
func (Later) Format() int { return 2 }

func (c Later) apply(*State, uint64) Refusal {
	if c.Text == "" {
		return Invalid
	}
	return ""
}

func decodeLater(e entry) (Command, error) {
	if e.Op == (Later{}).op() {
		return decodeArgs[Later](e)
	}
	return nil, fmt.Errorf("log entry %q: %w", e.Op, ErrNewer)
}

func salted(version int, name uint64) uint64 {
	if version > 1 {
		return mix(name + uint64(version))
	}
	return name
}
