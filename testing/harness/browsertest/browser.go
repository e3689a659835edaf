// Package browsertest drives a real Chromium for tests. Tabs have their own storage and end with their test. Every complaint of
// the browser (an error on the console, a breach of the Content-Security-Policy) fails the test. Tests see and press only what
// people can see and press. Without a chromium the test fails and names what to install; it is never skipped.
//
// CHROMIUM names the browser. By default it is the chromium-headless-shell on the PATH, which has no window and needs less than half
// of the processor time, or else chromium.
package browsertest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Browser is a Chromium that several tests share. The zero value is ready to use; the first Open starts the process.
type Browser struct {
	once sync.Once
	ctx  context.Context
	end  context.CancelFunc
	err  error
}

// Open shows url in a tab that is width pixels wide. expected lists parts of complaints that the test provokes.
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
	// The first run creates the tab, which lives as long as that run's context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	// Several tabs are open at once. Each must be drawn as if it had the focus.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	// A page may write to the clipboard when somebody has clicked. Without a window the browser refuses that, unless it is granted here.
	if _, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: "clipboard-write"},
		Setting: browser.PermissionSettingGranted, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID}); err != nil {
		t.Fatal(err)
	}
	b.Resize(width)
	b.load(chromedp.Navigate(url))
	return b
}

// End closes the browser if it was started. No tab may be open.
func (c *Browser) End() {
	if c.end != nil {
		c.end()
	}
}

func (c *Browser) start() {
	shell, _ := exec.LookPath("chromium-headless-shell")
	path, err := exec.LookPath(cmp.Or(os.Getenv("CHROMIUM"), shell, "chromium"))
	if err != nil {
		c.err = fmt.Errorf("the tests need chromium-headless-shell or chromium (make deps installs one): %w", err)
		return
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
