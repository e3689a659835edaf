// Package boltfile checks a bbolt database by reading it. bbolt maps its file and trusts the contents. If the file was cut short, or its
// pages were damaged, bbolt may panic, loop, or end the process with a fault that cannot be recovered. With a file that Check accepts, none
// of this happens. Check reads each page at most once and keeps one path of the tree in memory, so its time and memory depend only on the
// size of the file, whatever the contents.
package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// ErrDamaged means that a file is not a bbolt database, or not a complete one.
var ErrDamaged = errors.New("it is not a whole database")

// ErrLocked means that another process has the file open. While that process writes, the file may look damaged.
var ErrLocked = errors.New("another process has it open")

const (
	headerSize  = 16 // the size of the header of a page, an element and a bucket
	metaSize    = 64
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	minPage     = 512
	maxPage     = 64 << 10

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketValue  = 0x01

	manyFree   = 0xFFFF     // a freelist with this count has the real count in its first entry
	noFreelist = ^uint64(0) // the freelist is not written
	maxDepth   = 64         // far beyond what a tree of 2^64 pages needs
	firstData  = uint64(2)  // the first page after the two meta pages
)

var order = binary.NativeEndian // bbolt writes its structs as they are in memory

// Check returns nil for an intact database, an ErrDamaged that says what is wrong, ErrLocked, or the error of reading the file.
func Check(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c := checker{file: f, size: info.Size()}
	return c.check()
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

type checker struct {
	file io.ReaderAt
	size int64
	meta meta
	used []bool // by page: whether the page was seen, as a part of the tree or as free
}

// meta is the contents of a meta page, the head of the file.
type meta struct {
	pageSize             uint64
	root, freelist, next uint64 // next is the first page that was never used
	txid                 uint64
}

func (c *checker) check() error {
	if err := c.findMeta(); err != nil {
		return err
	}
	if pages := uint64(c.size) / c.meta.pageSize; c.meta.next > pages {
		return damaged("the file was cut short: it has %d pages of %d", pages, c.meta.next)
	}
	c.used = make([]bool, c.meta.next)
	if err := c.tree(c.meta.root, scope{root: true}); err != nil {
		return err
	}
	return c.freelist()
}

// findMeta reads the newer of the two meta pages. One valid meta page is enough, because a crash may leave the other half written.
func (c *checker) findMeta() error {
	first, ok := c.metaAt(0)
	if ok {
		second, both := c.metaAt(int64(first.pageSize))
		if both && second.txid > first.txid && second.pageSize == first.pageSize {
			first = second
		}
		c.meta = first
		return nil
	}
	for at := int64(minPage); at <= maxPage; at *= 2 {
		if second, ok := c.metaAt(at); ok && second.pageSize == uint64(at) {
			c.meta = second
			return nil
		}
	}
	return damaged("it does not begin as a bbolt database")
}

func (c *checker) metaAt(at int64) (meta, bool) {
	b := make([]byte, metaSize)
	if _, err := c.file.ReadAt(b, at+headerSize); err != nil {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	m := meta{pageSize: uint64(order.Uint32(b[8:])), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		next: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}
	ok := order.Uint32(b) == metaMagic && order.Uint32(b[4:]) == metaVersion && order.Uint64(b[56:]) == sum.Sum64() &&
		m.pageSize >= minPage && m.pageSize <= maxPage && m.pageSize&(m.pageSize-1) == 0
	return m, ok
}

// page is a page together with its overflow pages.
type page struct {
	id    uint64
	kind  uint16
	count int
	data  []byte
}

// read reads a page and marks it as used. It is an error if the page is in use already.
func (c *checker) read(id uint64) (page, error) {
	if id < firstData || id >= c.meta.next {
		return page{}, damaged("page %d is referred to, and there is none", id)
	}
	head := make([]byte, headerSize)
	if err := c.readAt(head, id); err != nil {
		return page{}, err
	}
	p := page{id: id, kind: order.Uint16(head[8:]), count: int(order.Uint16(head[10:]))}
	more := uint64(order.Uint32(head[12:]))
	if own := order.Uint64(head); own != id || more >= c.meta.next-id {
		return page{}, damaged("page %d says that it is page %d with %d more", id, own, more)
	}
	for i := id; i <= id+more; i++ {
		if c.used[i] {
			return page{}, damaged("page %d is used twice", i)
		}
		c.used[i] = true
	}
	p.data = make([]byte, (more+1)*c.meta.pageSize)
	return p, c.readAt(p.data, id)
}

func (c *checker) readAt(b []byte, id uint64) error {
	_, err := c.file.ReadAt(b, int64(id*c.meta.pageSize))
	if errors.Is(err, io.EOF) {
		return damaged("page %d lies beyond the end of the file", id)
	}
	return err
}

// scope says where in the file a page stands, and so what it may hold.
type scope struct {
	low, high []byte // keys must be at least low and below high; nil means no bound
	depth     int
	root      bool // the page belongs to the database's own tree, in which bbolt keeps only buckets
}

// tree checks a page of a bucket and everything below it.
func (c *checker) tree(id uint64, in scope) error {
	if in.depth > maxDepth {
		return damaged("page %d is %d levels deep", id, in.depth)
	}
	p, err := c.read(id)
	if err != nil {
		return err
	}
	switch p.kind {
	case branchPage:
		return c.branch(p, in)
	case leafPage:
		return c.leaf(p, in)
	}
	return damaged("page %d is of kind %#x in the place of data", id, p.kind)
}

func (c *checker) branch(p page, in scope) error {
	if p.count == 0 {
		return damaged("page %d refers to nothing", p.id)
	}
	keys, children := make([][]byte, p.count), make([]uint64, p.count)
	for i := range p.count {
		e, ok := p.element(i)
		if !ok {
			return damaged("element %d of page %d lies outside", i, p.id)
		}
		pos, size := uint64(order.Uint32(e)), uint64(order.Uint32(e[4:]))
		if keys[i], ok = p.at(i, pos, size); !ok {
			return damaged("key %d of page %d lies outside", i, p.id)
		}
		children[i] = order.Uint64(e[8:])
	}
	if err := p.inOrder(keys, in.low, in.high); err != nil {
		return err
	}
	for i, child := range children {
		below := scope{low: in.low, high: in.high, depth: in.depth + 1, root: in.root}
		if i > 0 { // bbolt does not keep a branch's first key as its lower bound
			below.low = keys[i]
		}
		if i+1 < len(keys) {
			below.high = keys[i+1]
		}
		if err := c.tree(child, below); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) leaf(p page, in scope) error {
	keys := make([][]byte, p.count)
	for i := range p.count {
		e, ok := p.element(i)
		if !ok {
			return damaged("element %d of page %d lies outside", i, p.id)
		}
		pos, size, length := uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		pair, ok := p.at(i, pos, size+length)
		if !ok {
			return damaged("value %d of page %d lies outside", i, p.id)
		}
		keys[i] = pair[:size]
		switch isBucket := order.Uint32(e)&bucketValue != 0; {
		case isBucket:
			if err := c.bucket(p.id, pair[size:], in.depth); err != nil {
				return err
			}
		case in.root:
			return damaged("element %d of page %d is no bucket", i, p.id)
		}
	}
	return p.inOrder(keys, in.low, in.high)
}

// bucket checks a bucket within a leaf. The value names the bucket's first page, or holds its only page.
func (c *checker) bucket(in uint64, value []byte, depth int) error {
	if len(value) < headerSize {
		return damaged("a bucket of page %d is cut short", in)
	}
	if root := order.Uint64(value); root != 0 {
		return c.tree(root, scope{depth: depth + 1})
	}
	inline := page{id: in, data: value[headerSize:]}
	if len(inline.data) < headerSize {
		return damaged("a bucket of page %d is cut short", in)
	}
	inline.kind, inline.count = order.Uint16(inline.data[8:]), int(order.Uint16(inline.data[10:]))
	if inline.kind != leafPage || depth > maxDepth {
		return damaged("a bucket of page %d holds no data", in)
	}
	if own := order.Uint64(inline.data); own != 0 { // bbolt would free that page when it writes the bucket
		return damaged("a bucket within page %d says that it is page %d", in, own)
	}
	return c.leaf(inline, scope{depth: depth + 1})
}

func (p page) element(i int) ([]byte, bool) {
	return part(p.data, uint64(headerSize*(i+1)), headerSize)
}

// at returns the bytes at a position that is relative to element i.
func (p page) at(i int, pos, size uint64) ([]byte, bool) {
	return part(p.data, uint64(headerSize*(i+1))+pos, size)
}

func part(data []byte, from, size uint64) ([]byte, bool) {
	if from > uint64(len(data)) || size > uint64(len(data))-from {
		return nil, false
	}
	return data[from : from+size], true
}

func (p page) inOrder(keys [][]byte, low, high []byte) error {
	for i, key := range keys {
		switch {
		case len(key) == 0: // bbolt panics when it writes the page
			return damaged("key %d of page %d is empty", i, p.id)
		case i > 0 && bytes.Compare(keys[i-1], key) >= 0, p.kind == leafPage && low != nil && bytes.Compare(key, low) < 0,
			high != nil && bytes.Compare(key, high) >= 0:
			return damaged("the keys of page %d are not in order", p.id)
		}
	}
	return nil
}

// freelist checks that no free page is in use, because bbolt would overwrite it.
func (c *checker) freelist() error {
	if c.meta.freelist == noFreelist {
		return nil
	}
	p, err := c.read(c.meta.freelist)
	if err != nil {
		return err
	}
	if p.kind != freelistPage {
		return damaged("page %d is of kind %#x in the place of the free pages", p.id, p.kind)
	}
	ids, count := p.data[headerSize:], uint64(p.count)
	if p.count == manyFree {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids))/8 {
		return damaged("page %d cannot hold %d free pages", p.id, count)
	}
	for ids = ids[:count*8]; len(ids) > 0; ids = ids[8:] {
		id := order.Uint64(ids)
		if id < firstData || id >= c.meta.next || c.used[id] {
			return damaged("page %d is free and in use, or free twice, or does not exist", id)
		}
		c.used[id] = true
	}
	return nil
}
