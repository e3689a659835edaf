package wire

import "github.com/rollcallhq/rollcall/reconcile"

func newToken(t reconcile.Token) *Token { return &Token{Generation: t.Generation, Index: t.Index} }

func (x *Token) value() reconcile.Token {
	return reconcile.Token{Generation: x.GetGeneration(), Index: x.GetIndex()}
}

// texts converts strings to bytes; rollcall.proto says why.
func texts(all []string) [][]byte {
	if len(all) == 0 {
		return nil
	}
	out := make([][]byte, len(all))
	for i, s := range all {
		out[i] = []byte(s)
	}
	return out
}

func strings(all [][]byte) []string {
	if len(all) == 0 {
		return nil
	}
	out := make([]string, len(all))
	for i, b := range all {
		out[i] = string(b)
	}
	return out
}
