// Package confirm asks somebody at a terminal before an action that is hard to undo. A script is never asked.
package confirm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNo means that the answer was not a yes.
var ErrNo = errors.New("nothing was done: answer y to go on, or give --yes")

// Terminal returns the terminal at which somebody can answer, or nil for a script.
func Terminal() io.Reader {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return os.Stdin
}

// Ask writes a question and returns nil if the answer is y or yes, in any letter case. Any other answer, none, and the end of ctx
// are ErrNo.
func Ask(ctx context.Context, from io.Reader, to io.Writer, question string) error {
	fmt.Fprint(to, question+" [y/N] ")
	said := make(chan string, 1)
	go func() { // it ends with the process if nobody answers
		line, _ := bufio.NewReader(from).ReadString('\n')
		said <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case answer := <-said:
		if answer == "y" || answer == "yes" {
			return nil
		}
	case <-ctx.Done():
	}
	return ErrNo
}
