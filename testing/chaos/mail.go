package chaos

import (
	"fmt"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// Mail sums up the webhooks of a period.
type Mail struct {
	Sent int `json:"sent"`
	// Retried counts those with a failed attempt, Lost those without any 200. Statuses counts the failed attempts, 0 meaning no
	// answer.
	Retried  int         `json:"retried"`
	Lost     int         `json:"lost"`
	Statuses map[int]int `json:"statuses"`
	Median   float64     `json:"median"`
	Longest  float64     `json:"longest"`
	// Example is one of the retried webhooks.
	Example string `json:"example,omitempty"`
}

// mail sums up the webhooks that were first sent in a period.
func mail(webhooks []clusterkit.Webhook, from, to time.Time) Mail {
	own := slices.DeleteFunc(slices.Clone(webhooks), func(w clusterkit.Webhook) bool { return w.First.Before(from) || w.First.After(to) })
	s := clusterkit.Summarize(own)
	m := Mail{Sent: s.Webhooks, Retried: s.Retried, Lost: s.Lost, Statuses: s.Statuses, Median: s.Median.Seconds(), Longest: s.Longest.Seconds()}
	if i := slices.IndexFunc(own, func(w clusterkit.Webhook) bool { return len(w.Failed) > 0 }); i >= 0 {
		m.Example = fmt.Sprintf("%s %s of %s, first sent %.1f s into it, attempts that failed: %v", own[i].Event, own[i].ID, own[i].Room,
			own[i].First.Sub(from).Seconds(), own[i].Failed)
	}
	return m
}
