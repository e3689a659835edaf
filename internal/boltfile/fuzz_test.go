package boltfile

import (
	"errors"
	"testing"
)

// FuzzCheck changes an intact database at some places. bbolt must be able to read and write what Check accepts; otherwise it would end the
// process.
func FuzzCheck(f *testing.F) {
	whole := database(f)
	f.Add([]byte{}, uint32(len(whole)))
	f.Add([]byte{0, 0, 0x20, 1}, uint32(len(whole)))        // a bit of a head
	f.Add([]byte{0, 2, 8, 2, 0, 2, 10, 200}, uint32(99999)) // kind and count of a page
	f.Add([]byte{0, 3, 12, 255}, uint32(3*4096))
	f.Add([]byte("8\x00\xc5\xc5"), uint32(524216)) // the number of a page within a leaf
	f.Fuzz(func(t *testing.T, changes []byte, size uint32) {
		data := append([]byte{}, whole[:min(int(size), len(whole))]...)
		for ; len(changes) >= 4 && len(data) > 0; changes = changes[4:] { // page, byte and value
			at := (int(changes[0])<<8|int(changes[1]))*4096 + int(changes[2])
			data[at%len(data)] ^= changes[3]
		}
		path, err := checkBytes(t, data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if err := readAll(path); err != nil {
			t.Fatalf("accepted, and then %v", err)
		}
	})
}
