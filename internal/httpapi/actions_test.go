package httpapi

import (
	"context"
	"slices"
	"testing"
	"time"
)

// TestIdleActionsHaveEnded checks that idle actions count as ended even if the time for waiting is over: a slow client must
// not be reported as a running action.
func TestIdleActionsHaveEnded(t *testing.T) {
	a := newActions(1, time.Minute)
	if _, err := a.do(t.Context(), false, nil, func(context.Context) (any, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if err := newActions(1, time.Minute).wait(over); err != nil {
			t.Fatal(err)
		}
	}
	a.stop()
	if err := a.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSwitchesPassTheCycles checks that the service can still be stopped while every slot is taken, though not without
// limit.
func TestSwitchesPassTheCycles(t *testing.T) {
	a := newActions(1, time.Minute)
	var tried []error
	nested := func(isSwitch bool, then func()) {
		_, err := a.do(t.Context(), isSwitch, nil, func(context.Context) (any, error) {
			then()
			return nil, nil
		})
		tried = append(tried, err)
	}
	nested(false, func() {
		nested(false, func() {})
		nested(true, func() { nested(true, func() {}) })
	})
	if want := []error{ErrBusy, ErrBusy, nil, nil}; !slices.Equal(tried, want) {
		t.Errorf("got %v, want %v", tried, want)
	}
	a.stop()
	if err := a.wait(t.Context()); err != nil {
		t.Error(err)
	}
}
