package browser

import (
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

// scripting returns the time in seconds that the page's scripts and styles take while do runs.
func scripting(t *testing.T, b *browsertest.Tab, do func()) float64 {
	t.Helper()
	if _, err := chromedp.Call(b.Context(), performance.Enable, performance.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	spent := func() (sum float64) {
		result, err := chromedp.Call(b.Context(), performance.GetMetrics, cdp.Empty{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range result.Metrics {
			if m.Name == "ScriptDuration" || m.Name == "LayoutDuration" || m.Name == "RecalcStyleDuration" {
				sum += m.Value
			}
		}
		return sum
	}
	before := spent()
	do()
	return spent() - before
}
