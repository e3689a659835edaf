// The list of rooms. It is read page by page on demand, updated by changes, and read again from time to time,
// because only the node knows which kinds of participants count.

const pageSize = 1000;
const enough = 20_000; // rooms; beyond that the list is continued on request
const rereadAfter = { live: 120_000, otherwise: 20_000 };

// The default of --count-kinds. If it is configured differently, a count may be wrong until the list is read again.
const counted = new Set(["STANDARD", "SIP"]);

const counts = (participant) => Boolean(participant) && !participant.hidden && counted.has(participant.kind ?? "STANDARD");

function applyTo(rows, change) {
  const row = rows.get(change.room);
  // Changes that the list already contained when it was read.
  if (row && change.time <= row.readUntil) return;
  const data = change.data ?? null;
  if (change.type === "room_finished" || (change.type === "room_snapshot" && !data)) {
    rows.delete(change.room);
    return;
  }
  const next = row ?? { roomName: change.room, participantCount: 0, createdAt: data?.createdAt ?? change.time, readUntil: 0 };
  next.lastUpdated = change.time;
  if (change.type === "participant_joined" && counts(data)) next.participantCount += 1;
  if (change.type === "participant_left" && counts(data)) next.participantCount = Math.max(0, next.participantCount - 1);
  if (change.type === "room_started") next.participantCount = 0;
  if (change.type === "room_snapshot") next.participantCount = (data.participants ?? []).filter(counts).length;
  if (data?.createdAt && change.type.startsWith("room_")) next.createdAt = data.createdAt;
  rows.set(change.room, next);
}

/** createRooms keeps the slice "rooms": { rows, at, error, loading, complete, incomplete, search }. incomplete means that part of Redis does not answer. */
export function createRooms(store, session) {
  let generation = 0;
  const empty = () => ({ rows: new Map(), at: 0, error: null, loading: false, complete: false, incomplete: false, search: "", limit: enough });
  store.set("rooms", empty());

  async function fetchPages(of, model, into) {
    let cursor = "";
    do {
      const query = new URLSearchParams({ limit: pageSize });
      if (cursor) query.set("cursor", cursor);
      if (model.search) query.set("search", model.search);
      const page = await session.client.read(`/api/rooms?${query}`);
      if (of !== generation) return false;
      for (const row of page.rooms) into.set(row.roomName, { ...row, readUntil: row.lastUpdated });
      if (page.incomplete) model.incomplete = true;
      // The page may be older than changes that came while it was on its way.
      const read = new Set(page.rooms.map((row) => row.roomName));
      for (const change of model.missed) if (read.has(change.room)) applyTo(into, change);
      model.missed = model.missed.filter((change) => !read.has(change.room));
      cursor = page.nextCursor ?? "";
      store.touch("rooms");
    } while (cursor && into.size < model.limit);
    return !cursor;
  }

  async function load(search, limit) {
    const of = (generation += 1);
    const model = { ...store.state.rooms, search, limit, loading: true, incomplete: false, error: null };
    // A different search begins with an empty list; for the same search the list is replaced when it is complete, so that nothing flickers.
    const fresh = new Map();
    if (model.search !== store.state.rooms.search) Object.assign(model, { rows: fresh, at: 0 });
    if (!model.rows.size) model.rows = fresh;
    model.missed = [];
    store.set("rooms", model);
    try {
      const complete = await fetchPages(of, model, fresh);
      if (of !== generation) return;
      // A list that is shown while it grows has taken these as they came.
      if (model.rows !== fresh) for (const change of model.missed) applyTo(fresh, change);
      store.set("rooms", { ...model, rows: fresh, at: Date.now(), loading: false, complete, missed: null });
    } catch (error) {
      if (of === generation) store.set("rooms", { ...model, error, loading: false, missed: null });
    }
  }

  return {
    /** want loads the list unless a recent one exists. */
    want() {
      const model = store.state.rooms;
      const pause = rereadAfter[store.state.conn.state] ?? rereadAfter.otherwise;
      if (!model.loading && Date.now() - model.at > pause && !(model.error && Date.now() - (model.failedAt ?? 0) < 5000)) {
        model.failedAt = Date.now();
        load(model.search, model.limit);
      }
    },
    reload() {
      if (store.state.rooms.at) load(store.state.rooms.search, store.state.rooms.limit);
    },
    /** searchNode lets the node search, for a list that is too long to keep. */
    searchNode(search) {
      if (search !== store.state.rooms.search) load(search, enough);
    },
    more() {
      load(store.state.rooms.search, store.state.rooms.limit + enough);
    },
    apply(change) {
      const model = store.state.rooms;
      if (!model.at && !model.loading) return;
      if (model.search && !change.room.toLowerCase().includes(model.search.toLowerCase())) return;
      model.missed?.push(change);
      applyTo(model.rows, change);
      store.touch("rooms");
    },
    forget() {
      generation += 1;
      store.set("rooms", empty());
    },
  };
}
