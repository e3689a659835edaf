package reconcile

import (
	"testing"
	"time"
)

// TestAReportSaysSinceWhen keeps reports one after another and checks the times that they carry on.
func TestAReportSaysSinceWhen(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0).UTC() }
	none := time.Time{}
	var kept *Report
	for i, c := range []struct {
		report          Report
		good, since     time.Time
		fromAnOlderNode bool // which keeps no such times
	}{
		{report: Report{Errors: 1, Fault: LiveKitSilent}, since: at(0)},
		{report: Report{Errors: 1, Fault: LiveKitSilent}, since: at(0)},
		{report: Report{}, good: at(2)},
		{report: Report{}, good: at(3)},
		{report: Report{Errors: 2}, good: at(3)},
		{report: Report{Errors: 1, Fault: LiveKitSilent}, good: at(3), since: at(5)},
		{report: Report{Errors: 1, Fault: LiveKitSilent}, good: at(3), since: at(5)},
		{report: Report{Errors: 1, Fault: RedisSilent}, good: at(3), since: at(7)},
		{report: Report{Errors: 1, Fault: LiveKitRefuses}, good: at(3), since: at(8)},
		{report: Report{Errors: 1}, good: at(3), since: none},
		{report: Report{}, fromAnOlderNode: true},
		{report: Report{Errors: 1, Fault: LiveKitSilent}, fromAnOlderNode: true},
		{report: Report{Errors: 1, Fault: LiveKitSilent}, since: at(11)},
		{report: Report{}, fromAnOlderNode: true},
		{report: Report{Errors: 1, Fault: LiveKitSilent}, good: at(13), since: at(14)},
	} {
		c.report.StartedAt = at(i)
		if !c.fromAnOlderNode {
			c.report = c.report.After(kept)
		}
		kept = &c.report
		if !kept.LastGood.Equal(c.good) || !kept.FaultSince.Equal(c.since) {
			t.Errorf("report %d: last good %v, want %v; fault since %v, want %v", i, kept.LastGood, c.good, kept.FaultSince, c.since)
		}
	}
}
