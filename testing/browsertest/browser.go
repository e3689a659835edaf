// Package browsertest drives a real Chromium for tests. It promises tabs with storage of their own, which end with their test;
// that whatever the browser complains of (an error on the console, a breach of the Content-Security-Policy) fails the test; and
// to see and press what people see and can press. Without a chromium the test fails and says what to install: it never skips.
//
// CHROMIUM names the browser (default: chromium on the PATH).
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Browser is a Chromium that several tests share. The zero value is one that the first Open starts.
type Browser struct {
	once sync.Once
	ctx  context.Context
	end  context.CancelFunc
	err  error
}

// Open shows url at a width of so many pixels. expected are parts of complaints that the test brings about.
func (c *Browser) Open(t testing.TB, url string, width int64, expected ...string) *Tab {
	t.Helper()
	if c.once.Do(c.start); c.err != nil {
		t.Fatal(c.err)
	}
	b := &Tab{t: t, expected: expected}
	ctx, end := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		end()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			t.Errorf("the browser complains: %s", p)
		}
	})
	// The first run makes the tab, which lives as long as that run's context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	// Several tabs are open at once; each is to be drawn as if somebody looked at it.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	b.Do(chromedp.EmulateViewport(width, 900))
	b.load(chromedp.Navigate(url))
	return b
}

// End ends the browser, if it was started. No tab may be open.
func (c *Browser) End() {
	if c.end != nil {
		c.end()
	}
}

func (c *Browser) start() {
	path := os.Getenv("CHROMIUM")
	if path == "" {
		if path, c.err = exec.LookPath("chromium"); c.err != nil {
			c.err = fmt.Errorf("the tests need chromium (make deps installs it): %w", c.err)
			return
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("force-color-profile", "srgb"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	c.end = func() { end(); endAllocator() }
	c.ctx, c.err = ctx, chromedp.Do(ctx)
}
