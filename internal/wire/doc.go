// Package wire holds the messages between nodes (rollcall.proto) and carries the rooms' types in them, whole and byte for
// byte: what one node encodes another decodes to the same value, whatever bytes the names are made of. An empty list or map
// may come back as none.
package wire
