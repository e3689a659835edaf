package httpapi

import (
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnAnswerWaitsForOthers checks that callers who come at the same moment are served one after the other instead of
// refused.
func TestAnAnswerWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(100, 50)
		begin := func(id string) *call {
			return &call{r: httptest.NewRequest("GET", "/", nil), who: caller{id: id, rank: readsAll}, held: share{of: q, who: caller{id: id, rank: readsAll}}}
		}
		if begin("alone").need(60) == nil {
			t.Error("a call got more than its caller may have")
		}
		first, second, third := begin("a"), begin("b"), begin("c")
		if first.need(50) != nil || second.need(37) != nil {
			t.Fatal("there was memory for both")
		}
		time.AfterFunc(time.Second, func() { _ = first.need(0) })
		began := time.Now()
		if err := third.need(40); err != nil || time.Since(began) != time.Second {
			t.Errorf("the third got %v after %v, want its memory once the first had given back", err, time.Since(began))
		}
		if err := begin("d").need(40); err == nil {
			t.Error("more was given than there is")
		}
		for _, c := range []*call{second, third} {
			_ = c.need(0)
		}
		if q.held() != 0 {
			t.Errorf("%d bytes are still held", q.held())
		}
	})
}
