//go:build nextversion

package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// This file makes the build a later one for tests: its messages have a field that an older build does not know.

const laterField = 1000

func appendLater(b []byte) []byte {
	return protowire.AppendString(protowire.AppendTag(b, laterField, protowire.BytesType), "later")
}

// WithLater returns a message with a field that an older build does not know.
func WithLater[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown(appendLater(nil))
	return m
}
