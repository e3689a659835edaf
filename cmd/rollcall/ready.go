package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

// readyTimeout is short, because a probe asks again anyway.
const readyTimeout = 2 * time.Second

// readiness is what ready --json prints.
type readiness struct {
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"` // the reason if it is not ready
}

func (a *app) readyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Exit 0 if the node is ready to serve, else 1: a health check",
		Long: `Ask the node's /readyz. Exit 0 if it serves, else 1 with the reason on one line. On the
node's own machine it needs no token, no shell and no curl, so it is a health check for
images without them. Elsewhere the node gives the reason only to a token that may read.`,
		Args: noArgs,
	}
	return a.asking(cmd, readyTimeout, func(ctx context.Context, c *client.Client, _ []string, asJSON bool) error {
		err := c.Ready(ctx)
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Status == http.StatusServiceUnavailable {
			why := notReady(refused.Message)
			err = &explainedError{line: fmt.Sprintf("%s does not serve: %s", c.Base(), why), cause: err}
			if asJSON {
				return errors.Join(printJSON(a.stdout, readiness{Why: why}), err)
			}
		}
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(a.stdout, readiness{Ready: true})
		}
		_, err = fmt.Fprintln(a.stdout, "ready")
		return err
	})
}

// notReady explains to operators what /readyz says. It gives the reason only to callers on the node's machine and to tokens
// that may read.
func notReady(said string) string {
	switch said {
	case "Draining":
		return "it is stopping"
	case "Not ready":
		return "it gives no reason to this caller: ask on its own machine, or give --token (ROLLCALL_TOKEN) of one that may read everything; its log says it too"
	default:
		return sentence(clip(strings.TrimPrefix(said, "Not ready: "), 400))
	}
}
