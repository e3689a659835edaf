package freeaddr_test

import (
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
)

// TestNoAddressTwice: no address is given twice, although nobody has bound any of them yet. 1,500 of 18,000 would meet some sixty times.
func TestNoAddressTwice(t *testing.T) {
	seen := map[string]bool{}
	for range 500 {
		for _, addr := range freeaddr.ForTest(t, 3) {
			if seen[addr] {
				t.Fatalf("%s was given twice", addr)
			}
			seen[addr] = true
		}
	}
}
