package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

// servers builds one server per letter. The first one is the leader. V is a voter; v a silent voter; g a voter that is gone; a a voter that
// is not in the view; s a member of the view without a vote; o a server without a vote that is not in the view.
func servers(t *testing.T, letters string) (all []candidate) {
	t.Helper()
	kinds := map[rune]candidate{
		'V': {voter: true, answers: true, member: true}, 'v': {voter: true}, 'g': {voter: true, gone: true},
		'a': {voter: true, answers: true}, 's': {answers: true, member: true}, 'o': {gone: true},
	}
	for i, letter := range letters {
		c, ok := kinds[letter]
		if !ok {
			t.Fatalf("no server %q", letter)
		}
		c.id = raft.ServerID(fmt.Sprintf("n%d", i+1))
		all = append(all, c)
	}
	return all
}

func TestNextVoteChange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ servers, want, why string }{
		{"V", "", "alone"},
		{"Vs", "", "two voters tolerate no more failures than one"},
		{"Vss", "+n2", "three tolerate one"},
		{"VVs", "+n3", "the way from one to three"},
		{"VVV", "", "three"},
		{"VVVs", "", "four tolerate no more failures than three"},
		{"VVVss", "+n4", "five tolerate two"},
		{"VVVVs", "+n5", "the way from three to five"},
		{"VVVVVss", "", "five at most"},
		{"VVVVVV", "-n2", "five at most"},
		{"VV", "-n2", "a server was removed"},
		{"Vv", "-n2", "the silent one loses its vote"},
		{"VVVv", "-n4", "the silent one loses its vote"},
		{"VVaV", "-n3", "one that is not in the view loses its vote"},
		{"VVg", "", "without a spare nothing moves"},
		{"VVv", "", "one that only restarts"},
		{"VVvs", "", "not yet gone"},
		{"VVgs", "-n3", "the spare is to have the vote"},
		{"VVos", "+n4", "and has it"},
		{"VgVoo", "", "others that are away are no spares"},
		{"VVVggs", "-n4", "five voters with two gone"},
		{"VVVogs", "+n6", "likewise"},
		{"VVVoVg", "", "the other keeps its vote"},
		{"VVVgg", "-n4", "without both, three tolerate one failure and five none"},
		{"VVVog", "-n5", "and the second one"},
		{"VVvss", "", "no votes beside a silent voter"},
		{"VVgsss", "-n3", "the gone before growth"},
		{"Vgv", "", "no quorum: nobody leads here"},
	} {
		got, change := "", nextVoteChange("n1", servers(t, tt.servers))
		if change.promote {
			got = "+" + string(change.id)
		} else if change.id != "" {
			got = "-" + string(change.id)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q: %s", tt.servers, got, tt.want, tt.why)
		}
	}
}

// For all clusters of up to seven servers, the changes come to an end, with an odd number of voters if one can be reached, and a quorum of
// the voters always answers.
func TestVoteChangesEndAndKeepAQuorum(t *testing.T) {
	t.Parallel()
	clusters := []string{"V"}
	for range 6 {
		for _, before := range clusters {
			for _, letter := range "Vvgaso" {
				clusters = append(clusters, before+string(letter))
			}
		}
		clusters = distinct(clusters)
	}
	for _, letters := range clusters {
		all := servers(t, letters)
		if !answeringQuorum(all, "") {
			continue
		}
		for steps := 0; ; steps++ {
			change := nextVoteChange("n1", all)
			if change.id == "" {
				break
			}
			if steps > 2*len(all) {
				t.Fatalf("%s: the changes do not end", letters)
			}
			voteAs(t, all, change)
			if !answeringQuorum(all, "") || !all[0].voter {
				t.Fatalf("%s: no quorum answers after %+v: %+v", letters, change, all)
			}
		}
		voters, spare := electorate(all)
		gone := goneVoters(all)
		silent := gone > 0
		for _, c := range all {
			silent = silent || c.voter && !c.answers
		}
		if voters%2 == 0 || voters > maxVoters || gone > 0 && spare != "" || gone > 1 || !silent && spares(all) >= 2 && voters < maxVoters {
			t.Fatalf("%s ends with %d voters, %d of them gone, spare %q: %+v", letters, voters, gone, spare, all)
		}
	}
}

func voteAs(t *testing.T, all []candidate, change voteChange) {
	t.Helper()
	for i := range all {
		if all[i].id == change.id {
			if all[i].voter == change.promote || change.promote && !all[i].spare() {
				t.Fatalf("%+v of %+v", change, all[i])
			}
			all[i].voter = change.promote
			return
		}
	}
	t.Fatalf("no server %q", change.id)
}

func distinct(all []string) (once []string) {
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s] {
			seen[s] = true
			once = append(once, s)
		}
	}
	return once
}
