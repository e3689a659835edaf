package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// database returns a database that has branches, overflow pages, free pages, and a small bucket within a leaf. Each transaction changes
// one bucket, because bbolt writes several in random order, and a fuzzing input must mean the same in every run.
func database(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for round := range 4 {
		err = errors.Join(err, db.Update(func(tx *bbolt.Tx) error {
			logs, err := tx.CreateBucketIfNotExists([]byte("logs"))
			if err != nil {
				return err
			}
			for i := range 200 {
				size := 40
				if i%50 == 0 {
					size = 9000
				}
				if err := logs.Put(key(round*200+i), make([]byte, size)); err != nil {
					return err
				}
				if old := round*200 + i - 500; old >= 0 && old%3 > 0 {
					if err := logs.Delete(key(old)); err != nil {
						return err
					}
				}
			}
			return nil
		}), db.Update(func(tx *bbolt.Tx) error {
			conf, err := tx.CreateBucketIfNotExists([]byte("conf"))
			if err != nil {
				return err
			}
			return conf.Put([]byte("CurrentTerm"), key(round))
		}))
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func checkBytes(t testing.TB, data []byte) (path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, Check(path)
}

// readAll reads and writes all of a file with bbolt. On a damaged file it may panic, loop or end the process.
func readAll(path string) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bbolt.Tx) error {
		seen := 0
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			if err := b.ForEach(func(k, v []byte) error { seen += len(k) + len(v); return nil }); err != nil {
				return err
			}
			return b.Put([]byte{0}, make([]byte, 6000))
		})
	})
}

func TestAWholeDatabase(t *testing.T) {
	path, err := checkBytes(t, database(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := readAll(path); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err != nil {
		t.Errorf("after more was written: %v", err)
	}
}

func TestAFileThatWasCutShort(t *testing.T) {
	data := database(t)
	for _, size := range []int{0, 1, 100, 4096, 8192, 16384, len(data) / 2, len(data)/2 + 1000} {
		if _, err := checkBytes(t, data[:size]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", size, len(data), err)
		}
	}
	if err := Check(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// A crash in the middle of a commit leaves one of the two meta pages half written. The other one counts.
func TestOneHeadSuffices(t *testing.T) {
	for head := range 2 {
		data := database(t)
		copy(data[head*4096+headerSize+40:], "half written")
		path, err := checkBytes(t, data)
		if err != nil {
			t.Errorf("without head %d: %v", head, err)
		}
		if err := readAll(path); err != nil {
			t.Errorf("without head %d: %v", head, err)
		}
	}
}

// Damage is either found or harmless: this test would not survive the rest.
func TestWhatIsAcceptedDoesNoHarm(t *testing.T) {
	whole := database(t)
	accepted := 0
	for seed := range uint64(600) {
		data, random := append([]byte{}, whole...), rand.New(rand.NewPCG(seed, 0))
		var did string
		switch at := random.IntN(len(data)/512) * 512; seed % 4 {
		case 0:
			i, bit := random.IntN(len(data)), random.IntN(8)
			data[i] ^= 1 << bit
			did = fmt.Sprintf("bit %d of byte %d", bit, i)
		case 1: // the head of a page
			page := random.IntN(len(data)/4096) * 4096
			i, value := page+random.IntN(64), byte(random.IntN(256))
			data[i] = value
			did = fmt.Sprintf("byte %d is %d", i, value)
		case 2:
			clear(data[at : at+512])
			did = fmt.Sprintf("a sector of zeros at %d", at)
		case 3:
			from := random.IntN(len(data)/4096) * 4096
			copy(data[random.IntN(len(data)/4096)*4096:], append([]byte{}, data[from:from+4096]...))
			did = fmt.Sprintf("the page at %d twice", from)
		}
		path, err := checkBytes(t, data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("seed %d, %s: %v", seed, did, err)
			}
			continue
		}
		accepted++
		if err := readAll(path); err != nil {
			t.Errorf("seed %d, %s: accepted, and then %v", seed, did, err)
		}
	}
	if accepted == 0 || accepted == 600 {
		t.Errorf("%d of 600 were accepted: the test tells nothing", accepted)
	}
	t.Logf("%d of 600 were accepted", accepted)
}

// If an element of a page refers to the page itself, or to one above it, following the references never ends.
func TestCyclesAreFound(t *testing.T) {
	data := database(t)
	found := 0
	for id := 2; id < len(data)/4096; id++ {
		p := data[id*4096:]
		if order.Uint16(p[8:]) != branchPage || order.Uint64(p) != uint64(id) {
			continue
		}
		looped := append([]byte{}, data...)
		order.PutUint64(looped[id*4096+headerSize+8:], uint64(id))
		if _, err := checkBytes(t, looped); errors.Is(err, ErrDamaged) {
			found++
		}
	}
	if found == 0 {
		t.Error("no cycle was found")
	}
}

// bbolt's own tree holds only buckets. A value there would be handed out as a bucket that is nil.
func TestAValueInThePlaceOfABucket(t *testing.T) {
	data := database(t)
	whole := checker{file: bytes.NewReader(data), size: int64(len(data))}
	if err := whole.check(); err != nil {
		t.Fatal(err)
	}
	flags := int(whole.meta.root*whole.meta.pageSize) + headerSize
	data[flags] ^= bucketValue
	if _, err := checkBytes(t, data); !errors.Is(err, ErrDamaged) {
		t.Errorf("a value in the place of a bucket: %v", err)
	}
}

// Each bit of the head and the elements of every page, and of a bucket within a leaf, is either checked or harmless.
func TestEveryBitOfAHead(t *testing.T) {
	whole := database(t)
	places := []int{}
	for page := 0; page < len(whole); page += 4096 {
		for i := range 3 * headerSize {
			places = append(places, page+i)
		}
	}
	for at := 0; ; at++ {
		next := bytes.Index(whole[at:], []byte("conf"))
		if next < 0 {
			break
		}
		at += next
		for i := range len("conf") + 4*headerSize { // the bucket, its page's head and its element
			places = append(places, at+i)
		}
	}
	dir := t.TempDir()
	for n, at := range places {
		data := bytes.Clone(whole)
		data[at] ^= 1 << (n % 8)
		path := filepath.Join(dir, "db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(path); err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d: %v", at, err)
			}
			continue
		}
		if err := readAll(path); err != nil {
			t.Errorf("byte %d: accepted, and then %v", at, err)
		}
	}
}

// bbolt panics at an empty key when it writes the page.
func TestAnEmptyKey(t *testing.T) {
	data := database(t)
	for id := 2; id < len(data)/4096; id++ {
		p := data[id*4096:]
		if order.Uint16(p[8:]) != leafPage || order.Uint64(p) != uint64(id) {
			continue
		}
		changed := bytes.Clone(data)
		order.PutUint32(changed[id*4096+headerSize+8:], 0) // the size of its first key
		path, err := checkBytes(t, changed)
		if err == nil {
			err = readAll(path) // the page is free
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("page %d: %v", id, err)
		}
	}
}
