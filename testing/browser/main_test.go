package browser

import (
	"os"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

// shared is the browser that all tests share. Each test gets its own context in it.
var shared browsertest.Browser

func TestMain(m *testing.M) {
	code := m.Run()
	shared.End()
	rollcall.remove()
	os.Exit(code)
}

func open(t *testing.T, url string, width int64, expected ...string) *browsertest.Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real browser")
	}
	return shared.Open(t, url, width, expected...)
}
