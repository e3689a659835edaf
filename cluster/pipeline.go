package cluster

import (
	"time"

	"github.com/hashicorp/raft"
)

// pipelineTimeout limits how long a pipelined request waits to be sent. A follower that is merely slow fails by transportTimeout before that.
const pipelineTimeout = 3 * transportTimeout

// boundedPipeline ends a pipeline that accepts no more requests. After the first refusal raft stops reading the answers of a pipeline, but
// may go on sending. Without a limit that sender waits for ever: the follower gets no more entries while its heartbeats go on, and raft's
// shutdown never ends. After an error raft goes on without a pipeline and opens another one later.
type boundedPipeline struct{ raft.AppendPipeline }

// AppendEntries implements raft.AppendPipeline.
func (p boundedPipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	late := time.AfterFunc(pipelineTimeout, func() { _ = p.Close() }) // closes the connection, which nothing else uses
	defer late.Stop()
	return p.AppendPipeline.AppendEntries(args, resp)
}
