//go:build !nextversion

package cluster

import "context"

// useLaterFormats is the work of a leader whose build has formats after the first: to use them once all nodes read them. This build has none.
func (*Node) useLaterFormats(context.Context) {}
