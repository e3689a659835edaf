package livekit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of a list from LiveKit, in bytes. A list is read entry by entry, so its total size costs time but no memory.
const (
	maxAnswer = 1 << 30
	// maxEntry is the largest entry that is read. LiveKit's limits allow about 6.7 MB.
	maxEntry = 8 << 20
	// maxKept bounds what is kept of a list. entryCost is added for each entry that is kept.
	maxKept   = 64 << 20
	entryCost = 256
)

var (
	// errTooLarge means that more of a list would have to be kept than the limit, or that the list does not end.
	errTooLarge = errors.New("the answer is too large")
	errNoList   = errors.New("the answer is not the protobuf of a list")
)

// entryField is the field that holds the entries, in ListRoomsResponse and in ListParticipantsResponse.
const entryField = 1

// buffer is what reading an answer needs. A sync reads an answer for each room, so buffers are reused.
type buffer struct {
	in    *bufio.Reader
	entry bytes.Buffer
}

var buffers = sync.Pool{New: func() any { return &buffer{in: bufio.NewReaderSize(nil, 16<<10)} }}

// free gives the buffer back, unless an unusually large entry has made it large.
func (b *buffer) free() {
	b.in.Reset(nil)
	if b.entry.Cap() <= 64<<10 {
		buffers.Put(b)
	}
}

// readEntries reads a list and calls take with each of its entries. The bytes are valid until take returns. whole is false for an entry larger
// than maxEntry; its bytes are then only the beginning. Other fields are skipped. An error means that the list is incomplete, or is not a list.
func readEntries(r io.Reader, take func(entry []byte, whole bool) error) error {
	b := buffers.Get().(*buffer)
	defer b.free()
	b.in.Reset(r)
	in, entry := b.in, &b.entry
	rest := &io.LimitedReader{R: in} // one reader for all entries: a list may have millions
	for {
		tag, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		number, kind := protowire.DecodeTag(tag)
		if number < protowire.MinValidNumber || number > protowire.MaxValidNumber {
			return errNoList
		}
		if number != entryField || kind != protowire.BytesType {
			if err := skipField(in, kind); err != nil {
				return err
			}
			continue
		}
		whole, err := readEntry(in, rest, entry)
		if err != nil {
			return err
		}
		if err := take(entry.Bytes(), whole); err != nil {
			return err
		}
	}
}

// readEntry reads an entry into the buffer. The buffer grows with the data that arrives, not with the announced length. rest reads from in.
func readEntry(in *bufio.Reader, rest *io.LimitedReader, entry *bytes.Buffer) (whole bool, err error) {
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return false, broken(err)
	}
	if size > maxAnswer {
		return false, errTooLarge
	}
	entry.Reset()
	kept := min(int64(size), maxEntry)
	rest.N = kept
	if _, err := entry.ReadFrom(rest); err != nil {
		return false, broken(err)
	}
	if rest.N > 0 {
		return false, io.ErrUnexpectedEOF
	}
	if _, err := in.Discard(int(int64(size) - kept)); err != nil {
		return false, broken(err)
	}
	return int64(size) == kept, nil
}

func skipField(in *bufio.Reader, kind protowire.Type) error {
	size := uint64(0)
	switch kind {
	case protowire.VarintType:
		_, err := binary.ReadUvarint(in)
		return broken(err)
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.BytesType:
		var err error
		if size, err = binary.ReadUvarint(in); err != nil {
			return broken(err)
		}
	default:
		return errNoList
	}
	if size > maxAnswer {
		return errTooLarge
	}
	_, err := in.Discard(int(size))
	return broken(err)
}

// broken converts the error of a list that ends in the middle of an entry. A nil error stays nil.
func broken(err error) error {
	switch {
	case err == nil, errors.Is(err, errTooLarge):
		return err
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read the answer: %w", err)
}

// bounded fails with errTooLarge when more is read than allowed.
type bounded struct {
	io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// field is one field of a message: n holds varints, text the bytes of length-delimited fields.
type field struct {
	num  protowire.Number
	kind protowire.Type
	n    uint64
	text []byte
}

// eachField calls take with each field of a message, up to the first that does not decode. It reports whether all did.
func eachField(message []byte, take func(field)) bool {
	for len(message) > 0 {
		num, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		f := field{num: num, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			f.text, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(num, kind, message)
		}
		if n < 0 {
			return false
		}
		message = message[n:]
		take(f)
	}
	return true
}
