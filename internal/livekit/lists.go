package livekit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"golang.org/x/sync/errgroup"

	"github.com/rollcallhq/rollcall/reconcile"
)

// namesPerRequest is how many rooms one ListRooms requests by name.
const namesPerRequest = 100

// ListRooms returns the names of all rooms.
func (c *Client) ListRooms(ctx context.Context) (reconcile.RoomNames, error) {
	var list reconcile.RoomNames
	err := c.list(ctx, listRooms, access{RoomList: true}, c.listRooms(nil), &list.PassedOver, func(p *part) entries {
		list = reconcile.RoomNames{}
		return &roomNames{list: &list, limit: limit{most: maxKept, part: p}}
	})
	if errors.Is(err, errTooLarge) {
		list.Cut = true
		return list, nil
	}
	if err != nil {
		return reconcile.RoomNames{}, err
	}
	return list, nil
}

// Listed returns those of the named rooms that LiveKit lists: the newest instance of each name, or all of them if they are equally old. It
// requests them in concurrent parts. A part whose answer is too large is requested again in halves. If one part fails, Listed fails.
func (c *Client) Listed(ctx context.Context, names []string) (reconcile.RoomList, error) {
	names = slices.DeleteFunc(slices.Clone(names), impossible)
	parts := slices.Collect(slices.Chunk(names, namesPerRequest))
	answers := make([]reconcile.RoomList, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.opts.Concurrency)
	for i, part := range parts {
		group.Go(func() (err error) {
			answers[i], err = c.listed(ctx, part)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return reconcile.RoomList{}, err
	}
	return merged(answers), nil
}

func merged(answers []reconcile.RoomList) reconcile.RoomList {
	sum := reconcile.RoomList{Rooms: map[string][]reconcile.RoomInfo{}, Unreadable: map[string]bool{}}
	for _, list := range answers {
		maps.Copy(sum.Rooms, list.Rooms)
		maps.Copy(sum.Unreadable, list.Unreadable)
		sum.Add(list.PassedOver)
	}
	return sum
}

func (c *Client) listed(ctx context.Context, names []string) (reconcile.RoomList, error) {
	var list reconcile.RoomList
	err := c.list(ctx, listRooms, access{RoomList: true}, c.listRooms(names), &list.PassedOver, func(p *part) entries {
		list = reconcile.RoomList{}
		return newNamedRooms(names, &list, p)
	})
	if err == nil {
		return list, nil
	}
	if !errors.Is(err, errTooLarge) || len(names) < 2 {
		return reconcile.RoomList{}, err
	}
	first, err := c.listed(ctx, names[:len(names)/2])
	if err != nil {
		return reconcile.RoomList{}, err
	}
	second, err := c.listed(ctx, names[len(names)/2:])
	if err != nil {
		return reconcile.RoomList{}, err
	}
	return merged([]reconcile.RoomList{first, second}), nil
}

// listRooms requests all rooms if names is empty.
func (c *Client) listRooms(names []string) send {
	return func(ctx context.Context) error {
		_, err := c.rooms.ListRooms(ctx, &livekit.ListRoomsRequest{Names: names})
		return err
	}
}

// impossible reports whether LiveKit cannot have a room of that name. Keys that others wrote may contain such a name: requesting it would fail
// the whole request.
func impossible(name string) bool { return name == "" || !utf8.ValidString(name) }

// Participants returns who is in a room; for a room that LiveKit does not have the list is empty, or NoRoom is set.
func (c *Client) Participants(ctx context.Context, room string) (reconcile.ParticipantList, error) {
	if impossible(room) {
		return reconcile.ParticipantList{}, nil
	}
	var list reconcile.ParticipantList
	send := func(ctx context.Context) error {
		_, err := c.rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: room})
		return err
	}
	err := c.list(ctx, listParticipants, access{RoomAdmin: true, Room: room}, send, &list.PassedOver, func(p *part) entries {
		list = reconcile.ParticipantList{}
		return &participants{list: &list, limit: limit{most: maxKept, part: p}}
	})
	switch {
	case err == nil:
		return list, nil
	case fromLiveKit(err, twirp.NotFound):
		return reconcile.ParticipantList{NoRoom: true}, nil
	case fromLiveKit(err, twirp.Unavailable):
		err = fmt.Errorf("%w: %w", reconcile.ErrNoAnswer, err)
	}
	return reconcile.ParticipantList{}, fmt.Errorf("room %q: %w", room, err)
}

// entries receives the entries of one answer.
type entries interface {
	// take receives one entry; an error ends the answer.
	take(entry []byte, whole bool) error
	// end is called after the last entry.
	end()
}

// limit bounds what is kept of an answer, in bytes. part counts it towards the bound for all answers together; nil does not count.
type limit struct {
	kept, most int
	part       *part
}

func (l *limit) keep(size int) error {
	if l.kept += size; l.kept > l.most {
		return errTooLarge
	}
	return l.part.take(size)
}

// roomNames keeps the names of a list of rooms.
type roomNames struct {
	list *reconcile.RoomNames
	limit
}

func (n *roomNames) take(entry []byte, whole bool) error {
	r := readRoom(entry, whole, false)
	pass(&n.list.PassedOver, r.fault(), r.String)
	switch {
	case !r.named():
		n.list.Unnamed++
		return nil
	case r.info.Name == "":
		return nil
	}
	if err := n.keep(entryCost + len(r.info.Name)); err != nil {
		return err
	}
	n.list.Names = append(n.list.Names, r.info.Name)
	return nil
}

func (*roomNames) end() {}

// namedRooms keeps the rooms that were requested.
type namedRooms struct {
	names   []string
	asked   map[string]bool
	list    *reconcile.RoomList
	unnamed bool
	limit
}

func newNamedRooms(names []string, list *reconcile.RoomList, p *part) *namedRooms {
	*list = reconcile.RoomList{Rooms: map[string][]reconcile.RoomInfo{}, Unreadable: map[string]bool{}}
	asked := make(map[string]bool, len(names))
	for _, name := range names {
		asked[name] = true
	}
	return &namedRooms{names: names, asked: asked, list: list, limit: limit{most: maxKept, part: p}}
}

func (n *namedRooms) take(entry []byte, whole bool) error {
	r := readRoom(entry, whole, true)
	fault := r.fault()
	pass(&n.list.PassedOver, fault, r.String)
	switch {
	case !r.named():
		n.unnamed = true
		return nil
	case !n.asked[r.info.Name]:
		return nil
	case fault != "":
		n.list.Unreadable[r.info.Name] = true
		return nil
	}
	if err := n.keep(r.size()); err != nil {
		return err
	}
	n.add(r.info)
	return nil
}

// add keeps the newest of several instances of one name, whatever their order, and all of equally old ones.
func (n *namedRooms) add(info reconcile.RoomInfo) {
	kept := n.list.Rooms[info.Name]
	same := func(o reconcile.RoomInfo) bool { return o.SID == info.SID }
	switch {
	case len(kept) == 0, info.CreatedMs > kept[0].CreatedMs:
		n.list.Rooms[info.Name] = []reconcile.RoomInfo{info}
	case info.CreatedMs == kept[0].CreatedMs && !slices.ContainsFunc(kept, same):
		n.list.Rooms[info.Name] = append(kept, info)
	}
}

// end handles rooms whose name could not be read: each may be any of the requested rooms, so all that are not listed become unreadable.
func (n *namedRooms) end() {
	for _, name := range n.names {
		if _, listed := n.list.Rooms[name]; n.unnamed && !listed {
			n.list.Unreadable[name] = true
		}
	}
}

// participants keeps the participants of a room.
type participants struct {
	list *reconcile.ParticipantList
	limit
}

func (l *participants) take(entry []byte, whole bool) error {
	p := readPerson(entry, whole)
	present := p.state == livekit.ParticipantInfo_ACTIVE
	switch fault := p.fault(); {
	case p.decodes && p.state == livekit.ParticipantInfo_DISCONNECTED:
		return nil
	case p.decodes && !present:
		l.list.Waiting++
		return nil
	case fault != "":
		pass(&l.list.PassedOver, fault, p.String)
		l.list.Waiting++
		if !p.identified() {
			l.list.Unidentified++
			return nil
		}
		l.list.Protected = append(l.list.Protected, p.one.SID)
		return l.keep(entryCost + len(p.one.SID))
	}
	if err := l.keep(p.size()); err != nil {
		return err
	}
	l.list.Active = append(l.list.Active, p.one)
	return nil
}

func (*participants) end() {}

// pass counts an entry with a fault. It calls describe for the first. A closure costs nothing here, whereas an interface would put every entry
// on the heap.
func pass(count *reconcile.PassedOver, fault string, describe func() string) {
	if fault == "" {
		return
	}
	if count.Count++; count.First == "" {
		count.First = describe()
	}
}
