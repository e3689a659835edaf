// Command participant is one real LiveKit client, for tests that kill it. It joins the server that its argument names, with the
// token in $LIVEKIT_TOKEN, prints "joined SID", and leaves when its standard input ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "participant:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 || os.Getenv("LIVEKIT_TOKEN") == "" {
		return errors.New("usage: LIVEKIT_TOKEN=… participant http://HOST:PORT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	p, err := livekittest.Connect(ctx, args[0], os.Getenv("LIVEKIT_TOKEN"))
	if err != nil {
		return err
	}
	defer p.Leave()
	fmt.Fprintln(stdout, "joined", p.Sid())
	_, _ = io.Copy(io.Discard, stdin)
	return nil
}
