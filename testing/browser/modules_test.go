package browser

import (
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/browsertest"
)

// TestModules tests the page's pure parts with input that is hard to produce through the page.
func TestModules(t *testing.T) {
	f := newFake(t)
	b := open(t, f.URL, 1280)
	for _, c := range []struct{ module, script, want string }{
		{"text", `m.plain("a\u0000b\n\u202ec\u200d")`, `a\0b\n[U+202E]c[U+200D]`},
		{"text", `m.plain("👩\u200d💻 می\u200cخواهم é")`, "👩\u200d💻 می\u200cخواهم é"},
		{"text", `m.plain(" x ") + m.plain("") + m.plain("\ud800")`, "·x·(empty)[U+D800]"},
		{"format", `[m.duration(14), m.duration(1240), m.duration(30000), m.duration(125000), m.duration(5400e3), m.duration(23 * 3600e3), m.duration(NaN)].join()`, "14 ms,1.2 s,30 s,2 min 5 s,90 min,23 h,–"},
		{"format", `[m.relative(1000, 1400), m.relative(0, 12000), m.relative(18000, 0), m.relative(0, 864e5 * 3)].join()`, "now,12 s ago,in 18 s,3 d ago"},
		{"change", `[{ participants: [] }, { participants: [{ identity: "ada" }] }, { participants: [{}, {}] }, null].map((data) => m.sentence({ type: "room_snapshot", version: 1, cause: "webhook", data }).textContent).join()`,
			"+Room started,+Room started with ada,+Room started with 2 participants,~Room written whole"},
		{"change", `m.sentence({ type: "room_snapshot", version: 1, cause: "sync", data: {} }).textContent`, "~Room written whole"},
		{"router", `m.parse("#/rooms/a%2F%3Fb").room + ["#/rooms/%zz", "#/nowhere", "#nowhere", "#/drift/x", "#/rooms/", "#/drift", "#/", ""].map((hash) => m.parse(hash).view).join()`,
			"a/?bunknown,unknown,unknown,unknown,rooms,drift,overview,overview"},
		{"occupancy", `[[{ state: "ready", occupancy: { rooms: 1, people: 1 } }, { state: "away" }], [{ state: "ready", occupancy: { rooms: 2, people: 5 } }, { state: "unready", occupancy: { rooms: 0, people: 0 } }], [{ state: "ready", occupancy: { rooms: 0, people: 0 } }], [{ state: "ready", occupancy: { rooms: 1, people: 1 } }, { state: "unreachable" }], []]
			.map((members) => m.occupancy({ data: { members } })).map((o) => (o ? m.sentence(o) : "unknown")).join("|") + m.occupancy({ data: null })`, "1 person in 1 room.|5 people in 2 rooms.|No room is live.|unknown|unknownnull"},
		{"router", `m.parse(m.roomLink("..?#/\u0000é")).room`, "..?#/\x00é"},
		{"compare", `m.compare({ participants: [{ sid: "1", identity: "a", joinedAt: 5, kind: "STANDARD", attributes: {} }] }, { participants: [{ sid: "1", identity: "a", joinedAt: 5 }] }).rows[0].state`, "same"},
		{"compare", `m.compare({ participants: [{ sid: "1", identity: "a" }] }, null).rows[0].state`, "unknown"},
		{"compare", `m.compare({ participants: [{ sid: "1", identity: "a" }] }, { participants: [{ sid: "2", identity: "a" }] }).rows.map((r) => r.state).join()`, "redis,livekit"},
		{"compare", `(() => { const [ada, bob, eve] = ["ada", "bob", "eve"].map((identity) => ({ sid: identity, identity }));
			return m.compare({ participants: [ada, bob] }, { participants: [eve] }, null, { participants: [bob, eve] }).rows.map((r) => r.identity ?? r.sid + " " + r.state).join(); })()`, "ada unknown,bob redis"},
		{"health", `[[1, 2], [2, 1]].map(([first, second]) => m.problems({ status: { data: { syncServiceRunning: true }, at: first }, cluster: { data: { leader: "n2" }, at: second } }, 0).map((p) => p.title).join()).join("|")`,
			"|The cluster has no leader"},
		{"health", `(() => {
			const like = (state) => ({ status: { data: { leader: "n1", syncServiceRunning: true }, at: 1 }, cluster: { data: { leader: "n1", members: [{ id: "n2", state }] }, at: 2 } });
			const longAgo = Date.now() - 20_000, since = (before) => ({ ...like("unready"), since: m.seenSince(like("unready"), m.seenSince(like(before), {}, longAgo)) });
			return [since("away"), since("unready")].map((state) => m.problems(state, 0).map((p) => p.level + " " + p.title).join()).join("|"); })()`,
			"note n2 takes no webhooks|warn n2 takes no webhooks"},
		{"actions", `m.summary({ action: "sync", room: "r" }, { found: false, result: { synced: 1, errors: 0, cleaned: 0 } }, 5) + m.summary({ action: "sync", room: "r" }, { found: true, result: { synced: 1, errors: 0, cleaned: 0 } }, 5)`,
			"Neither LiveKit nor Redis has this room.1 room compared, 0 errors, 0 removed; 5 ms."},
		// Changes that come while the first list is on its way: of a room that the page still has, of one that it counts already, of one that comes with the
		// next page, and of a new one.
		{"rooms", `(async () => {
			const answers = [], store = { state: { conn: { state: "live" } }, set(key, value) { this.state[key] = value; }, touch() {} };
			const list = m.createRooms(store, { client: { read: () => new Promise((resolve) => answers.push(resolve)) } });
			const row = (roomName) => ({ roomName, participantCount: 1, createdAt: 1, lastUpdated: 5 });
			const settle = () => new Promise((resolve) => setTimeout(resolve));
			const join = (room, time) => list.apply({ room, type: "participant_joined", time, data: { kind: "STANDARD" } });
			const give = async (...page) => { answers.shift()({ rooms: page.slice(1), nextCursor: page[0] }); await settle(); };
			const text = () => [...store.state.rooms.rows.values()].map((r) => r.roomName + r.participantCount).sort().join();
			list.want();
			list.apply({ room: "gone", type: "room_finished", time: 9, data: null });
			join("b", 5); join("c", 9); join("new", 9);
			await give("c", row("gone"), row("b"));
			join("b", 9);
			await give("", row("c"));
			const first = text();
			list.reload();
			join("b", 12);
			await give("c", { ...row("b"), participantCount: 2, lastUpdated: 9 });
			join("b", 13); join("c", 13);
			await give("", row("c"));
			return first + "|" + text(); })()`, "b2,c2,new1|b4,c2"},
		{"../rollcall-client", `(async () => { const got = [], pieces = ["id: 7\r", "\nevent: ch", "ange\ndata: {\ndata:  }\n", ": heartbeat\n\ndata:x\n\n", "event: half\ndata: lost"];
			const fetch = async () => new Response(new ReadableStream({ start(to) { for (const piece of pieces) to.enqueue(new TextEncoder().encode(piece)); to.close(); } }));
			for await (const e of m.createClient({ fetch }).stream("/api/events")) got.push(e.event + e.data + e.id); return got.join("|"); })()`, "connectednullundefined|change{\n }7|messagex7"},
	} {
		if got := browsertest.Eval[string](b, `import("/page/" + a + ".js").then((m) => (`+c.script+`))`, c.module); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.module, c.script, got, c.want)
		}
	}
}
