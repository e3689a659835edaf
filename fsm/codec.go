package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// FirstFormat is the format of everything that the first release writes. Every entry says its format, which is the oldest one that has the
// command, so that an older build reads all but what is really new. A change of a command's or the state's fields, or of what a command
// does, takes a new format, because unknown fields are refused, never dropped, and because nodes of two builds must apply an entry alike.
const FirstFormat = 1

// FormatOf returns the oldest format that has the command.
func FormatOf(cmd Command) int {
	if c, ok := cmd.(interface{ Format() int }); ok {
		return c.Format()
	}
	return FirstFormat
}

// snapshotVersion returns the number of a snapshot whose state is of that format.
func snapshotVersion(format int) int { return 1 + max(format, FirstFormat) }

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
	return json.Marshal(entry{Version: FormatOf(cmd), Op: cmd.op(), Args: args})
}

// Decode reads what Encode wrote. Its errors are ErrNewer and ErrCorrupt.
func Decode(data []byte) (Command, error) {
	var e entry
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("log entry %w: %w", ErrCorrupt, err)
	}
	if e.Version > Format {
		return nil, fmt.Errorf("log entry %q of format %d (this version knows %d): %w", e.Op, e.Version, Format, ErrNewer)
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
	return decodeLater(e)
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
	if err := json.NewEncoder(w).Encode(snapshotFile{Version: snapshotVersion(s.Format), State: state}); err != nil {
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
	if newest := snapshotVersion(Format); file.Version > newest {
		return State{}, fmt.Errorf("snapshot of format %d (this version knows %d): %w", file.Version, newest, ErrNewer)
	}
	if file.Version < 1 {
		return State{}, fmt.Errorf("snapshot without a format: %w", ErrCorrupt)
	}
	var s State
	if err := strict(file.State, &s); err != nil {
		return State{}, fmt.Errorf("snapshot %w: %w", ErrCorrupt, err)
	}
	if s.Format > Format {
		return State{}, fmt.Errorf("snapshot of format %d (this version knows %d): %w", s.Format, Format, ErrNewer)
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
