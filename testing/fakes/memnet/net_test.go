package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/rollcallhq/rollcall/testing/fakes/memnet"
)

// pair connects a to b.
func pair(t *testing.T, n *Net) (a, b *Host, near, far net.Conn) {
	t.Helper()
	a, b = n.Host("a"), n.Host("b")
	l, err := b.Listen(t.Context(), "b:1")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	near, err = a.Dial(t.Context(), "b:1")
	if err != nil {
		t.Fatal(err)
	}
	return a, b, near, <-got
}

func arrives(t *testing.T, from, to net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	go func() { _, _ = from.Write([]byte("x")) }()
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

func TestWhatIsLostIsLostInSilenceAndOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b, near, far := pair(t, n)
		defer a.Vanish()
		defer b.Vanish()
		heal := n.Lose("a", "b")
		if wrote, err := near.Write([]byte("x")); wrote != 1 || err != nil {
			t.Errorf("the sender is told: %d, %v", wrote, err)
		}
		if d := arrives(t, far, near); d != 0 {
			t.Errorf("the other way took %v", d)
		}
		heal()
		if wrote, err := near.Write([]byte("y")); wrote != 1 || err != nil {
			t.Errorf("the sender is told after the heal: %d, %v", wrote, err)
		}
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if got, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes come behind a gap, %v", got, err)
		}
	})
}

func TestACutOneWayHoldsUpThatWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b, near, far := pair(t, n)
		defer a.Vanish()
		defer b.Vanish()
		heal := n.Cut("a", "b")
		time.AfterFunc(3*time.Second, heal)
		if d := arrives(t, far, near); d != 0 {
			t.Errorf("the other way took %v", d)
		}
		if d := arrives(t, near, far); d != 3*time.Second {
			t.Errorf("it arrived after %v", d)
		}
		heal() // a second call does nothing
		if open, _ := n.Open("a", "b"); !open {
			t.Error("it is still cut")
		}
	})
}

func TestDeadlineCloseAndDialEndAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b, near, _ := pair(t, n)
		defer a.Vanish()
		defer b.Vanish()
		defer n.Cut("a", "b")()
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := near.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, "b:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		_ = near.SetDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { n.Reset("b", "a") })
		if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		n.Delay = func(from, _ string) time.Duration { return map[string]time.Duration{"a": time.Second}[from] }
		a, b, near, far := pair(t, n)
		defer a.Vanish()
		defer b.Vanish()
		if there, back := arrives(t, near, far), arrives(t, far, near); there != time.Second || back != 0 {
			t.Error(there, back)
		}
	})
}

func TestAHostThatHasVanishedIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b, near, _ := pair(t, n)
		defer a.Vanish()
		b.Vanish()
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Error("its connection is still open")
		}
		if _, err := a.Dial(t.Context(), "b:1"); !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
		if _, err := b.Listen(t.Context(), "b:1"); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		again := n.Host("b")
		if _, err := again.Listen(t.Context(), "b:1"); err != nil {
			t.Error(err)
		}
		again.Vanish()
	})
}
