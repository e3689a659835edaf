package rpc

import (
	"testing"
	"time"
)

// A process that stood still has read nothing meanwhile. That does not count as silence of the peer.
func TestOwnStallIsNoSilence(t *testing.T) {
	begun := time.Unix(1_800_000_000, 0)
	at := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	v := vigil{from: begun, tick: begun}
	for _, look := range []struct{ at, from int }{
		{250, 0}, {500, 0}, {1200, 0}, // a little late is usual
		{11_200, 11_200}, // a pause of 10 s
		{11_450, 11_200}, {11_700, 11_200}, {12_800, 12_800}, {13_050, 12_800},
	} {
		if from := v.silentSince(at(look.at)); from != at(look.from) {
			t.Errorf("at %d ms silence counts from %v", look.at, from.Sub(begun))
		}
	}
}
