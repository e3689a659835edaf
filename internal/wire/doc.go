// Package wire holds the messages between nodes (rollcall.proto) and converts the rooms' types to and from them without
// loss: what one node encodes, another decodes to the same value, whatever bytes the names consist of. An empty list or map
// may come back as nil.
package wire
