package reconcile

// TimelineMax is how many entries a room's timeline keeps.
const TimelineMax = 100

// DriftMax is how many entries the cluster's list of drift keeps.
const DriftMax = 1000

// TimelineEntry is one change of a room as its timeline keeps it: what changed, why, and who wrote it. About a
// participant it has identity and sid and nothing else.
type TimelineEntry struct {
	Time     int64      `json:"time"` // Unix ms, of the writing node
	Type     ChangeType `json:"type"`
	Identity string     `json:"identity"`
	SID      string     `json:"sid"`
	Cause    Cause      `json:"cause"`
	Reason   Reason     `json:"reason"` // empty for a webhook's change
	Event    string     `json:"event"`  // the webhook's id; empty for a look
	Gen      uint64     `json:"gen"`
	Epoch    uint64     `json:"epoch"`
	Version  uint64     `json:"version"`
	Owner    string     `json:"owner"` // the node that wrote it
	// For participant_left only: LiveKit's DisconnectReason, and the times of the join and the leave in Unix ms.
	Disconnect string `json:"disconnectReason,omitempty"`
	JoinedAt   int64  `json:"joinedAt,omitempty"`
	LeftAt     int64  `json:"leftAt,omitempty"`
}

// Timeline returns the entries that the commit adds to its room's timeline, newest first and at most TimelineMax. owner is
// the node that writes them.
func (c *Commit) Timeline(owner string) []TimelineEntry {
	n := min(len(c.Story), TimelineMax)
	entries := make([]TimelineEntry, 0, n)
	for i := range n {
		change := c.Story[len(c.Story)-1-i]
		e := TimelineEntry{Time: c.Time, Type: change.Type, Identity: change.identity(), SID: change.SID, Cause: c.Cause,
			Reason: change.Reason, Event: c.Event, Gen: c.Claim.Generation, Epoch: c.Claim.Epoch, Version: c.Version, Owner: owner}
		if change.Type == ParticipantLeft {
			e.Disconnect, e.JoinedAt, e.LeftAt = change.Disconnect, change.joinedAt(), change.LeftAt
		}
		entries = append(entries, e)
	}
	return entries
}

// DriftEntry is one repair as the cluster's list of drift keeps it.
type DriftEntry struct {
	Time     int64  `json:"time"` // Unix ms, of the node that repaired it
	Room     string `json:"room"`
	Reason   Reason `json:"reason"`
	Identity string `json:"identity"`
	SID      string `json:"sid"`
	Cause    Cause  `json:"cause"`
	Node     string `json:"node"`
}
