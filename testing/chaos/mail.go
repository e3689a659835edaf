package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// Mail is what became of a time's webhooks.
type Mail struct {
	Sent int `json:"sent"`
	// Retried had an attempt that failed, Lost had no 200 at all; Statuses are of the failed attempts, 0 for no answer.
	Retried  int         `json:"retried"`
	Lost     int         `json:"lost"`
	Statuses map[int]int `json:"statuses"`
	Median   float64     `json:"median"`
	Longest  float64     `json:"longest"`
	// Example is one of those retried.
	Example string `json:"example,omitempty"`
}

// mail sums up the webhooks that were first sent in a time.
func mail(webhooks []clusterkit.Webhook, from, to time.Time) Mail {
	m := Mail{Statuses: map[int]int{}}
	var waits []float64
	for _, one := range webhooks {
		if one.First.Before(from) || one.First.After(to) {
			continue
		}
		m.Sent++
		for _, status := range one.Failed {
			m.Statuses[status]++
		}
		if len(one.Failed) > 0 {
			m.Retried++
			m.Example = fmt.Sprintf("%s %s of %s, first sent %.1f s into it, attempts that failed: %v", one.Event, one.ID, one.Room,
				one.First.Sub(from).Seconds(), one.Failed)
		}
		if one.Answered.IsZero() {
			m.Lost++
			continue
		}
		waits = append(waits, one.Unanswered().Seconds())
	}
	if len(waits) > 0 {
		slices.Sort(waits)
		m.Median, m.Longest = waits[len(waits)/2], waits[len(waits)-1]
	}
	return m
}
