package browser

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

// scripting is the time in seconds that the page's scripts and styles take while do runs.
func scripting(b *tab, do func()) float64 {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, performance.Enable, performance.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	spent := func() (sum float64) {
		result, err := chromedp.Call(b.ctx, performance.GetMetrics, cdp.Empty{})
		if err != nil {
			b.t.Fatal(err)
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
