package cluster

import (
	"cmp"
	"slices"

	"github.com/hashicorp/raft"
)

// candidate is a server in raft's configuration, with what the leader knows about it.
type candidate struct {
	id    raft.ServerID
	voter bool
	// answers is false while heartbeats to the server fail.
	answers bool
	// gone is true if a server that does not answer is not expected back soon: it left in order, or has been silent for goneAfter.
	gone bool
	// member is true if the server is in the view. A server enters the view only once it has caught up with the log.
	member bool
}

// spare reports whether the server can be given a vote.
func (c candidate) spare() bool { return !c.voter && c.member && c.answers }

// voteChange is one change to who votes; the zero value changes nothing.
type voteChange struct {
	id      raft.ServerID
	promote bool // demote otherwise
}

// nextVoteChange returns the next change to who votes, for the leader self. The number of voters is to be odd and at most maxVoters. A voter
// that is gone gives its vote to a spare. If there is no spare, it keeps its vote, unless two voters are gone: without both, the others
// tolerate one more failure. If the changes are applied repeatedly and the servers'
// state stays the same, the changes come to an end. After each change a quorum of the voters answers if one did before.
func nextVoteChange(self raft.ServerID, servers []candidate) voteChange {
	voters, spare := electorate(servers)
	demote := leastUseful(self, servers)
	silent := slices.ContainsFunc(servers, func(c candidate) bool { return c.voter && !c.answers })
	switch {
	case voters > maxVoters:
		return demote
	case voters%2 == 0:
		if spare != "" {
			return voteChange{id: spare, promote: true}
		}
		return demote // one voter fewer tolerates as many failures
	case spare == "" && goneVoters(servers) < 2:
		return voteChange{}
	case silent:
		if i := slices.IndexFunc(servers, func(c candidate) bool { return c.id == demote.id }); i >= 0 && servers[i].gone {
			return demote
		}
		return voteChange{}
	case voters+2 <= min(maxVoters, voters+spares(servers)):
		return voteChange{id: spare, promote: true}
	}
	return voteChange{}
}

// electorate returns the number of voters and the first spare, empty for none.
func electorate(servers []candidate) (voters int, spare raft.ServerID) {
	for _, c := range servers {
		if c.voter {
			voters++
		}
		if c.spare() && spare == "" {
			spare = c.id
		}
	}
	return voters, spare
}

func goneVoters(servers []candidate) (count int) {
	for _, c := range servers {
		if c.voter && c.gone {
			count++
		}
	}
	return count
}

func spares(servers []candidate) (count int) {
	for _, c := range servers {
		if c.spare() {
			count++
		}
	}
	return count
}

// leastUseful returns the demotion of the least useful voter: one that is gone, else one that does not answer, else one that is not in the
// view. It returns the zero value if the other voters would have no quorum that answers.
func leastUseful(self raft.ServerID, servers []candidate) voteChange {
	rank := func(c candidate) int {
		switch {
		case !c.answers && c.gone:
			return 0
		case !c.answers:
			return 1
		case !c.member:
			return 2
		}
		return 3
	}
	sorted := slices.SortedStableFunc(slices.Values(servers), func(a, b candidate) int { return cmp.Compare(rank(a), rank(b)) })
	for _, c := range sorted {
		if c.voter && c.id != self && answeringQuorum(servers, c.id) {
			return voteChange{id: c.id}
		}
	}
	return voteChange{}
}

// answeringQuorum reports whether the voters other than without have a quorum that answers.
func answeringQuorum(servers []candidate, without raft.ServerID) bool {
	voters, answer := 0, 0
	for _, c := range servers {
		if !c.voter || c.id == without {
			continue
		}
		voters++
		if c.answers {
			answer++
		}
	}
	return voters > 0 && answer >= voters/2+1
}
