package wire_test

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/wire"
)

// bytesForStrings makes rapid draw strings of any bytes, as LiveKit allows. Only one goroutine at a time may use a generator.
func bytesForStrings() rapid.MakeConfig {
	return rapid.MakeConfig{Kinds: map[reflect.Kind]*rapid.Generator[any]{
		reflect.String: rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) any { return string(b) }),
	}}
}

// roundTrip draws values with all fields, by reflection, and checks that all of them come back. It fails if a field is added
// to a type and not to the wire.
func roundTrip[V any, M proto.Message](t *testing.T, there func(V) M, back func(M) V) {
	t.Helper()
	t.Run(reflect.TypeFor[V]().String(), func(t *testing.T) {
		values := rapid.MakeCustom[V](bytesForStrings())
		rapid.Check(t, func(t *rapid.T) {
			v := values.Draw(t, "value")
			raw, err := proto.Marshal(there(v))
			if err != nil {
				t.Fatalf("%+v: %v", v, err)
			}
			var zero M
			m := zero.ProtoReflect().New().Interface().(M)
			if err := proto.Unmarshal(raw, m); err != nil {
				t.Fatalf("%+v: %v", v, err)
			}
			if d := cmp.Diff(v, back(m), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("not the same (-sent +received):\n%s", d)
			}
		})
	})
}

func TestEveryFieldIsCarried(t *testing.T) {
	t.Parallel()
	roundTrip[actors.Batch](t, wire.NewBatch, (*wire.Batch).Value)
	roundTrip[actors.Findings](t, wire.NewFindings, (*wire.Findings).Value)
	roundTrip[actors.CleanupRequest](t, wire.NewCleanupRequest, (*wire.CleanupRequest).Value)
	roundTrip[actors.CleanupResult](t, wire.NewCleanupResult, (*wire.CleanupResult).Value)
	roundTrip[[]string](t, wire.NewNameList, (*wire.NameList).Value)
}

// A peer's message may lack any part.
func TestAbsentPartsAreZero(t *testing.T) {
	t.Parallel()
	for name, got := range map[string]any{
		"batch": new(wire.Batch).Value(), "findings": (*wire.Findings)(nil).Value(),
		"cleanup request": new(wire.CleanupRequest).Value(), "cleanup result": (*wire.CleanupResult)(nil).Value(),
	} {
		if !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Other builds know these numbers. A change of one breaks a rolling upgrade.
func TestNumbersStay(t *testing.T) {
	t.Parallel()
	old := []byte{8, 7, 16, 9, 24, 100, 0x52, 0} // call 7, epoch 9, 100 ms, kind 10: a Deliver
	var req wire.Request
	if err := proto.Unmarshal(old, &req); err != nil || req.GetCall() != 7 || req.GetEpoch() != 9 || req.GetDeadlineMs() != 100 ||
		req.GetDeliver() == nil {
		t.Errorf("a request of the first build reads as %v (%v)", &req, err)
	}
	for number, code := range map[int32]wire.Code{1: wire.Code_CODE_OK, 2: wire.Code_CODE_NOT_OWNER, 3: wire.Code_CODE_EXPIRED,
		4: wire.Code_CODE_FENCED, 5: wire.Code_CODE_BUSY, 6: wire.Code_CODE_UNAVAILABLE, 7: wire.Code_CODE_UNSUPPORTED} {
		if int32(code) != number {
			t.Errorf("%v is %d, was %d", code, code, number)
		}
	}
}
