package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/rollcallhq/rollcall/client"
)

const (
	// progressAfter is how long a cycle may take before a bar is shown.
	progressAfter = 500 * time.Millisecond
	progressEvery = 250 * time.Millisecond
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// withProgress runs work and meanwhile shows the progress of the cluster's cycle on a terminal.
func (a *app) withProgress(ctx context.Context, c *client.Client, work func() error) error {
	if !isTerminal(a.stderr) {
		return work()
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		showProgress(ctx, done, a.stderr, c.Status)
	}()
	err := work()
	close(done)
	<-ended
	return err
}

// showProgress draws a bar until done is closed, and then removes it.
func showProgress(ctx context.Context, done <-chan struct{}, w io.Writer, ask func(context.Context) (client.Status, error)) {
	var bar *progressbar.ProgressBar
	defer func() {
		if bar != nil {
			_ = bar.Clear() // a bar that stays is not worth an error
		}
	}()
	for wait := time.NewTimer(progressAfter); ; wait.Reset(progressEvery) {
		select {
		case <-done:
			return
		case <-wait.C:
		}
		s, err := ask(ctx)
		if err != nil || s.Progress == nil || s.Progress.Of == 0 {
			continue
		}
		if bar == nil {
			bar = progressbar.NewOptions(s.Progress.Of, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetWidth(30),
				progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
		}
		bar.ChangeMax(s.Progress.Of)
		bar.Describe(s.Progress.Kind)
		_ = bar.Set(min(s.Progress.Done, s.Progress.Of-1)) // at its maximum the bar would start again
	}
}
