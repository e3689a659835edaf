package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
)

// scriptedConn is a connection whose other side has already sent everything.
type scriptedConn struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *scriptedConn) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *scriptedConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// FuzzGreeting reads what follows the first byte of a raft connection. It is answered once and accepted only for this node's id.
func FuzzGreeting(f *testing.F) {
	f.Add([]byte("n1\n"), []byte("="))
	f.Add([]byte("n2\nn1\n"), []byte("!"))
	f.Add([]byte("n1"), []byte{})
	f.Add(bytes.Repeat([]byte("n"), 4*fsm.MaxNodeID), []byte("x"))
	f.Fuzz(func(t *testing.T, said, answer []byte) {
		c := &scriptedConn{in: bytes.NewReader(said)}
		err := answerForNode(c, "n1")
		right, whole := bytes.HasPrefix(said, []byte("n1\n")), bytes.IndexByte(said, '\n')
		want := ""
		switch {
		case right:
			want = string(rightNode)
		case whole >= 0 && whole <= fsm.MaxNodeID:
			want = string(wrongNode)
		}
		if (err == nil) != right || c.out.String() != want {
			t.Fatalf("%q is answered %q, %v", said, c.out.String(), err)
		}
		c = &scriptedConn{in: bytes.NewReader(answer)}
		if err := askForNode(c, "n1"); (err == nil) != bytes.HasPrefix(answer, []byte{rightNode}) || c.out.String() != "n1\n" {
			t.Fatalf("%q to %q: %v", answer, c.out.String(), err)
		}
	})
}

// FuzzPeerError reads the errors of another node. A sentinel error that both nodes know keeps its identity; all others are only texts.
func FuzzPeerError(f *testing.F) {
	f.Add(503, []byte(`{"code":"not-leader","error":"x"}`))
	f.Add(404, []byte("404 page not found"))
	f.Add(503, []byte(`{"code":"of-a-newer-build","error":"x"}`))
	f.Add(200, []byte(`{"code":5}`))
	f.Fuzz(func(t *testing.T, status int, answer []byte) {
		var remote *RemoteError
		err := remoteError("n2:7000", status, answer)
		if !errors.As(err, &remote) || err.Error() == "" || len(err.Error()) > 3*len(answer)+200 || remote.unknown != (status == 404) {
			t.Fatalf("%d %q: %#v", status, answer, err)
		}
		for code, sentinel := range codes() {
			if errors.Is(err, sentinel) && !bytes.Contains(answer, []byte(code)) && !bytes.Contains(answer, []byte(`\u`)) {
				t.Fatalf("%q is %v", answer, sentinel)
			}
		}
	})
}

// FuzzLogEntry reads an entry of raft's log from the disk as checkLog does before raft, which would end the process. checkLog must accept
// only what the state machine accepts too.
func FuzzLogEntry(f *testing.F) {
	join, err := fsm.Encode(fsm.Join{ID: "n1", HashVersion: 1})
	if err != nil {
		f.Fatal(err)
	}
	conf := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "a:1"}}})
	f.Add(uint64(5), uint8(raft.LogCommand), join)
	f.Add(uint64(5), uint8(raft.LogConfiguration), conf)
	f.Add(uint64(6), uint8(raft.LogNoop), []byte{})
	f.Add(uint64(5), uint8(raft.LogConfiguration), conf[:len(conf)/2])
	f.Add(uint64(5), uint8(raft.LogCommand), []byte(`{"v":1,"op":"join","args":{"zone":1}}`))
	f.Fuzz(func(t *testing.T, index uint64, kind uint8, data []byte) {
		logs, stable := raft.NewInmemStore(), raft.NewInmemStore()
		if err := logs.StoreLog(&raft.Log{Index: 5, Term: 1, Type: raft.LogType(kind), Data: data}); err != nil {
			t.Fatal(err)
		}
		s := &storage{logs: oddIndex{logs, index}, stable: stable, snaps: raft.NewInmemSnapshotStore()}
		err := s.checkLog()
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		if index != 5 && err == nil {
			t.Fatalf("an entry of index %d in the place of 5 is whole", index)
		}
		if _, bad := fsm.Decode(data); index == 5 && raft.LogType(kind) == raft.LogCommand && (err == nil) == errors.Is(bad, fsm.ErrCorrupt) {
			t.Fatalf("%q is whole: %v, and to the state machine: %v", data, err, bad)
		}
	})
}

// oddIndex returns entries that have another index.
type oddIndex struct {
	*raft.InmemStore
	index uint64
}

// GetLog implements raft.LogStore.
func (o oddIndex) GetLog(at uint64, entry *raft.Log) error {
	err := o.InmemStore.GetLog(at, entry)
	entry.Index = o.index
	return err
}

// FuzzNames reads the names of snapshot directories and the targets of raft's connections. Both must be written as they were read.
func FuzzNames(f *testing.F) {
	f.Add("2-5-1795399866000", "n1", "a:1")
	f.Add("02-5-7", "n\x001", "")
	f.Add("2-5-7.tmp", "", "a\x00b")
	f.Add("+2--5-7", "n1", "[::1]:7000")
	f.Fuzz(func(t *testing.T, folder, id, addr string) {
		if n, ok := parseSnapshotName(folder); ok && !strings.HasPrefix(folder, fmt.Sprintf("%d-%d-", n.term, n.index)) {
			t.Fatalf("%q is read as %+v", folder, n)
		}
		if strings.ContainsRune(addr, 0) {
			return // not an address; raft's own addresses do not come from strangers
		}
		if gotID, gotAddr := splitTarget(idTarget(id, addr)); gotID != id || gotAddr != addr {
			t.Fatalf("%q at %q became %q at %q", id, addr, gotID, gotAddr)
		}
	})
}
