package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The formats that this build writes, which are also the newest that it reads. Any change of a command's or the state's
// fields raises the number, because unknown fields are refused, never dropped.
const (
	commandVersion  = 1
	snapshotVersion = 2
)

var (
	// ErrNewer means that a newer build of rollcall wrote the data. Start that build, or a later one.
	ErrNewer = errors.New("written by a newer version of rollcall: start that version or a later one")
	// ErrCorrupt means that the data is not what any build of rollcall writes.
	ErrCorrupt = errors.New("damaged")
)

type entry struct {
	Version int             `json:"v"`
	Op      string          `json:"op"`
	Args    json.RawMessage `json:"args"`
}

type snapshotFile struct {
	Version int             `json:"version"`
	State   json.RawMessage `json:"state"`
}

// Encode returns the log entry of a command. It fails for a report that is not JSON.
func Encode(cmd Command) ([]byte, error) {
	args, err := json.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", cmd.op(), err)
	}
	return json.Marshal(entry{Version: commandVersion, Op: cmd.op(), Args: args})
}

// Decode reads what Encode wrote. Its errors are ErrNewer and ErrCorrupt.
func Decode(data []byte) (Command, error) {
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("log entry %w: %w", ErrCorrupt, err)
	}
	if e.Version > commandVersion {
		return nil, fmt.Errorf("log entry %q of format %d (this version knows %d): %w", e.Op, e.Version, commandVersion, ErrNewer)
	}
	if e.Version < 1 {
		return nil, fmt.Errorf("log entry without a format: %w", ErrCorrupt)
	}
	switch e.Op {
	case Found{}.op():
		return decodeArgs[Found](e)
	case ClaimLeadership{}.op():
		return decodeArgs[ClaimLeadership](e)
	case Join{}.op():
		return decodeArgs[Join](e)
	case Leave{}.op():
		return decodeArgs[Leave](e)
	case Remove{}.op():
		return decodeArgs[Remove](e)
	case SetService{}.op():
		return decodeArgs[SetService](e)
	case RecordReport{}.op():
		return decodeArgs[RecordReport](e)
	}
	return nil, fmt.Errorf("log entry %q: %w", e.Op, ErrNewer)
}

func decodeArgs[C Command](e entry) (Command, error) {
	var cmd C
	if err := strict(e.Args, &cmd); err != nil {
		return nil, fmt.Errorf("log entry %q %w: %w", e.Op, ErrCorrupt, err)
	}
	return cmd, nil
}

// WriteSnapshot writes s in the form that ReadSnapshot reads.
func WriteSnapshot(w io.Writer, s State) error {
	state, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := json.NewEncoder(w).Encode(snapshotFile{Version: snapshotVersion, State: state}); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	return nil
}

// ReadSnapshot reads one whole snapshot. Its errors are ErrNewer, ErrCorrupt and those of r.
func ReadSnapshot(r io.Reader) (State, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return State{}, fmt.Errorf("reading the snapshot: %w", err)
	}
	var file snapshotFile
	if err := json.Unmarshal(data, &file); err != nil {
		return State{}, fmt.Errorf("snapshot %w: %w", ErrCorrupt, err)
	}
	if file.Version > snapshotVersion {
		return State{}, fmt.Errorf("snapshot of format %d (this version knows %d): %w", file.Version, snapshotVersion, ErrNewer)
	}
	if file.Version < 1 {
		return State{}, fmt.Errorf("snapshot without a format: %w", ErrCorrupt)
	}
	var s State
	if err := strict(file.State, &s); err != nil {
		return State{}, fmt.Errorf("snapshot %w: %w", ErrCorrupt, err)
	}
	return s, nil
}

// strict decodes data. It refuses unknown fields, and also null, which would decode as the zero value.
func strict(data []byte, into any) error {
	if string(data) == "null" {
		return errors.New("null")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
