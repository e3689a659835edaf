package reconcile_test

import (
	"fmt"

	"github.com/rollcallhq/rollcall/reconcile"
)

// A room decides about one webhook. Nothing has happened before the plan is committed and adopted.
func ExampleStep() {
	room, _ := reconcile.Load(nil, reconcile.Record{Room: "lobby", Claim: reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}}, 0)
	joined := reconcile.Event{
		Kind:        reconcile.Joined,
		CreatedAt:   1_795_400_000,
		Room:        reconcile.RoomInfo{Name: "lobby", SID: "RM_1", CreatedMs: 1_795_400_000_000},
		Participant: reconcile.Participant{Identity: "ada", SID: "PA_1", JoinedAt: 1_795_400_000_500, Kind: "STANDARD"},
	}
	plan := reconcile.Step(room, joined, reconcile.Moment{Wall: 1_795_400_000_600, Stamp: 1})
	for _, change := range plan.Changes {
		fmt.Println(change.Type, change.SID)
	}
	// The shell commits plan.Commit to Redis here. Its answer is the receipt.
	room.Adopt(plan, reconcile.Receipt{Now: 1_795_400_000})
	fmt.Println("version", room.Version)
	// Output:
	// room_started RM_1
	// participant_joined PA_1
	// version 1
}
