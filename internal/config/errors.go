package config

import (
	"fmt"
	"strings"
)

// UsageError reports that a command was used wrongly, one problem per line.
// The exit code is 2.
type UsageError struct {
	Lines []string
}

// Error returns the problems, one per line.
func (e *UsageError) Error() string { return strings.Join(e.Lines, "\n") }

// Usagef returns a UsageError of one line.
func Usagef(format string, args ...any) error {
	return &UsageError{Lines: []string{fmt.Sprintf(format, args...)}}
}
