package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/rollcallhq/rollcall/client"
)

// node is a node with one room, for the examples.
func node() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/rooms", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"rooms":[{"roomName":"lobby","participantCount":2,"createdAt":1795400000000,"lastUpdated":1795400060000}]}`)
	})
	mux.HandleFunc("POST /api/sync-rooms", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"action":"sync","result":{"synced":1,"errors":0,"cleaned":0},"timestamp":"2026-11-28T20:00:00.000Z"}`)
	})
	return httptest.NewServer(mux)
}

func ExampleClient_Rooms() {
	server := node()
	defer server.Close()
	c, err := client.New(server.URL, client.WithToken("the admin token, or a LiveKit token with roomList"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for room, err := range c.Rooms(context.Background(), client.RoomsQuery{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(room.RoomName, room.ParticipantCount)
	}
	// Output: lobby 2
}

func ExampleClient_Sync() {
	server := node()
	defer server.Close()
	c, err := client.New(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := c.Sync(context.Background(), client.ActionOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer.Result.Synced, "room compared,", answer.Result.Errors, "failed")
	// Output: 1 room compared, 0 failed
}
