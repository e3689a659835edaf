package fakelivekit

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
)

type (
	grantsKey struct{}
	staleKey  struct{}
)

func staleView(ctx context.Context) world {
	w, _ := ctx.Value(staleKey{}).(world)
	return w
}

// authenticate puts a valid token's grants into the context and refuses an invalid token. A request without a token is left to
// the check of the grants.
func authenticate(key, secret string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		if header == "" {
			next.ServeHTTP(w, r)
			return
		}
		grants, err := verify(header, key, secret)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), grantsKey{}, grants)))
	})
}

func verify(header, key, secret string) (*auth.ClaimGrants, error) {
	token, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return nil, errors.New("invalid authorization header. Must start with Bearer ")
	}
	v, err := auth.ParseAPIToken(token)
	if err != nil {
		return nil, errors.New("invalid authorization token")
	}
	if v.APIKey() != key {
		return nil, errors.New("invalid API key: " + v.APIKey())
	}
	_, grants, err := v.Verify(secret)
	if err != nil {
		return nil, errors.New("invalid token, error: " + err.Error())
	}
	return grants, nil
}

// guard wraps every method: it applies the configured fault and checks the grant.
func (f *Fake) guard(next twirp.Method) twirp.Method {
	return func(ctx context.Context, req any) (any, error) {
		method, _ := twirp.MethodName(ctx)
		call := Call{Method: method, Room: roomOf(req)}
		fault := f.faultFor(call)
		if err := f.stall(ctx, fault); err != nil {
			return nil, err
		}
		if fault.Code != twirp.NoError {
			return nil, twirp.NewError(fault.Code, "a fault that the test ordered")
		}
		permitted, known := permits(ctx, req)
		if !known {
			return nil, twirp.NewError(twirp.Unimplemented, "the fake livekit does not have "+method)
		}
		if !permitted {
			return nil, twirp.NewError(twirp.Unauthenticated, "permissions denied")
		}
		if fault.Empty {
			ctx = context.WithValue(ctx, staleKey{}, world{})
		} else if fault.AsOf != nil {
			ctx = context.WithValue(ctx, staleKey{}, fault.AsOf.world)
		}
		answer, err := next(ctx, req)
		if list, ok := answer.(proto.Message); ok && err == nil && len(fault.Entries) > 0 {
			withEntries(list, fault.Entries)
		}
		return answer, err
	}
}

func (f *Fake) faultFor(call Call) APIFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		return APIFault{}
	}
	return f.fault(call)
}

// stall implements slow and hanging answers. Close, or the end of the caller's context, ends both.
func (f *Fake) stall(ctx context.Context, fault APIFault) error {
	if !fault.Hang && fault.Delay <= 0 {
		return nil
	}
	var passed <-chan time.Time
	if !fault.Hang {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
	case <-f.done:
	}
	return twirp.NewError(twirp.Canceled, "the fake livekit held the request until its end")
}

// permits checks the grant that the request needs: roomList, roomCreate, or roomAdmin with the room's name.
func permits(ctx context.Context, req any) (permitted, known bool) {
	grants, _ := ctx.Value(grantsKey{}).(*auth.ClaimGrants)
	video := &auth.VideoGrant{}
	if grants != nil && grants.Video != nil {
		video = grants.Video
	}
	switch req.(type) {
	case *livekit.ListRoomsRequest:
		return video.RoomList, true
	case *livekit.CreateRoomRequest, *livekit.DeleteRoomRequest:
		return video.RoomCreate, true
	case *livekit.ListParticipantsRequest, *livekit.RoomParticipantIdentity, *livekit.UpdateParticipantRequest, *livekit.UpdateRoomMetadataRequest:
		return video.RoomAdmin && video.Room == roomOf(req), true
	default:
		return false, false
	}
}

func roomOf(req any) string {
	switch r := req.(type) {
	case *livekit.CreateRoomRequest:
		return r.GetName()
	case interface{ GetRoom() string }:
		return r.GetRoom()
	default:
		return ""
	}
}
