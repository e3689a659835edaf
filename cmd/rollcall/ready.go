package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/rollcallhq/rollcall/client"
)

// readyTimeout is short, because whoever asks by a probe asks again.
const readyTimeout = 2 * time.Second

// readiness is what ready --json prints.
type readiness struct {
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"` // it is not
}

func (a *app) readyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Exit 0 if the node is ready to serve, else 1: a health check",
		Long: `Ask the node's /readyz. Exit 0 if it serves, else 1 with the reason on one line. It needs
no token, no shell and no curl, so it is a health check for images without them.`,
		Args: noArgs,
	}
	return a.asking(cmd, readyTimeout, func([]string) ask {
		return func(ctx context.Context, c *client.Client, asJSON bool) error {
			err := c.Ready(ctx)
			var refused *client.Error
			if errors.As(err, &refused) && refused.Status == http.StatusServiceUnavailable {
				why := notReady(refused.Message)
				err = &explained{line: fmt.Sprintf("%s does not serve: %s", c.Base(), why), cause: err}
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
		}
	})
}

// notReady says in an operator's words what /readyz, which is open to everyone, says in one.
func notReady(said string) string {
	switch said {
	case "Draining":
		return "it is stopping"
	case "Not ready":
		return "it has no leader, is no member yet, or its Redis does not answer or takes no commits, or no other node reaches it; its log tells which"
	default:
		return safe(clip(said, 200))
	}
}
