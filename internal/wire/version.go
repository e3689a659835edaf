//go:build !nextversion

package wire

import "google.golang.org/protobuf/proto"

// appendLater appends the fields of an Event that rollcall.proto does not have. This build has none.
func appendLater(b []byte) []byte { return b }

// WithLater returns a message with the fields that rollcall.proto does not have. This build has none.
func WithLater[M proto.Message](m M) M { return m }
