package reconcile

import "encoding/json"

// MaxWebhookBytes is the size of the largest webhook that is read, and of the largest data of a feed entry that is passed on.
const MaxWebhookBytes = 8 << 20

// FeedEntry is one change as the change feed keeps it. The IDs of one stream rise. An ID consists of two numbers and is ordered by them.
type FeedEntry struct {
	ID       string          `json:"-"`
	Room     string          `json:"room"`
	Type     ChangeType      `json:"type"`
	Identity string          `json:"identity"`
	SID      string          `json:"sid"`
	Cause    Cause           `json:"cause"`
	Version  uint64          `json:"version"`
	Time     int64           `json:"time"` // Unix ms
	Data     json.RawMessage `json:"data"`
	// For participant_left only: LiveKit's DisconnectReason, and the times of the join and the leave in Unix ms.
	Reason   string `json:"reason,omitempty"`
	JoinedAt int64  `json:"joinedAt,omitempty"`
	LeftAt   int64  `json:"leftAt,omitempty"`
}

// FeedQuery asks for a part of the feed.
type FeedQuery struct {
	After   string // the ID of the entry before the part
	OneRoom bool   // only the entries of Room
	Room    string
	Entries int   // how many entries to look at, of any room
	Bytes   int64 // how many bytes to return
}

// FeedPart is a part of the feed, oldest first.
type FeedPart struct {
	Changes []FeedEntry
	// Last is the ID of the last entry that was looked at; the next part begins after it. More reports whether there are further entries.
	Last string
	More bool
	// Looked and Bytes count the entries that were looked at, of any room, and their bytes.
	Looked int
	Bytes  int64
	// Needs is the size of the next entry if that entry alone is larger than the query's Bytes, and 0 otherwise.
	Needs int64
	Time  int64 // Redis' clock, in Unix ms
}

// RoomSize is the size of a room's two public values in bytes. It is 0 for a value that is absent or is not a string.
type RoomSize struct{ Participants, State int64 }
