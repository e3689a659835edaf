// What the module promises, as a function of the module, of a second copy of it, and of the stage: the same in a browser and in Node.js. It returns "" or what is wrong.
export async function checkModule(m, copy, stage) {
  const wrong = [];
  const same = (what, got, want) => {
    const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
    if (g !== w) wrong.push(`${what}: ${g}, want ${w}`);
  };
  const hook = (path) => fetch(`${stage}/stage/${path}`, { method: "POST" });
  const fails = async (what, call, says) => {
    try {
      await call();
      wrong.push(`${what}: no error`);
    } catch (error) {
      if (!`${error.name}: ${error.message}`.includes(says)) wrong.push(`${what}: ${error}`);
    }
  };

  // The stage has ada in "standup", and an agent and alan in "a/b ?#".
  while ((await m.participants("a/b ?#")).length < 2 || !(await m.room("standup"))?.participants.length) await new Promise((resolve) => setTimeout(resolve, 50));
  same("rooms", (await m.rooms()).map((r) => [r.roomName, r.participantCount]), [["a/b ?#", 1], ["standup", 1]]);
  same("rooms, searched", (await m.rooms({ search: "STAND" })).map((r) => r.roomName), ["standup"]);
  same("room", (await m.room("standup")).participants.map((p) => [p.identity, p.kind]), [["ada", "STANDARD"]]);
  same("no room", await m.room("nowhere"), null);
  same("participants", (await m.participants("a/b ?#")).map((p) => p.identity).sort(), ["agent", "alan"]);
  same("getRoomParticipants", await m.getRoomParticipants("a/b ?#"), ["alan"]);
  same("participants of no room", [await m.participants("nowhere"), await m.getRoomParticipants("nowhere")], [[], []]);

  // A sync of one room, and of all.
  await hook("unheard/join?room=standup&who=bob");
  await hook("unheard/join?room=other&who=bob");
  const one = await m.triggerImmediateSync({ room: "standup" });
  same("a sync of one room", [one.action, one.room, one.synced, one.errors, one.cleaned, one.result], ["sync", "standup", 1, 0, 0, { synced: 1, errors: 0, cleaned: 0 }]);
  same("after it", [await m.getRoomParticipants("standup"), await m.room("other")], [["ada", "bob"], null]);
  const dry = await m.triggerImmediateSync({ dryRun: true });
  same("a dry run", [dry.synced, dry.wouldChange.map((c) => c.room)], [3, ["other", "other"]]);
  await fails("a misspelt option", () => m.triggerImmediateSync({ dryrun: true }), 'TypeError: Unknown option "dryrun"');
  await fails("a misspelt option of act", () => m.createClient().sync({ Room: "a" }), 'TypeError: Unknown option "Room"');
  await fails("an empty name", () => m.triggerImmediateSync({ room: "" }), 'RollcallError: "room" must be the name of a room');
  await fails("a wrong token", () => m.rooms({ endpoint: stage, token: "wrong" }), "RollcallError: ");
  const c = m.createClient();
  for (const [name, call] of Object.entries({
    status: () => c.status({ x: 1 }), rooms: () => c.rooms({ x: 1 }), room: () => c.room("standup", { x: 1 }), participants: () => c.participants("standup", { x: 1 }),
    events: () => c.events({ x: 1 }).next(), stream: () => c.stream("/", { x: 1 }).next(), open: () => c.open("/", { x: 1 }), "the module's room": () => m.room("standup", { x: 1 }),
  })) await fails(`a misspelt option of ${name}`, call, 'TypeError: Unknown option "x"');
  await fails("text as options", () => m.triggerImmediateSync("other"), "TypeError: Options are an object");
  for (const [name, call] of Object.entries({
    room: () => m.room(undefined), participants: () => m.participants(null), getRoomParticipants: () => m.getRoomParticipants(), syncRoomFromLiveKit: () => m.syncRoomFromLiveKit(7),
    "a sync": () => m.triggerImmediateSync({ room: undefined }), "the client's sync": () => c.sync({ room: undefined }), events: () => m.events({ room: undefined }).next(),
  })) await fails(`no name for ${name}`, call, "TypeError: A room's name is a string, not ");
  await fails("force as text", () => m.triggerImmediateSync({ force: "false" }), 'RollcallError: "dryRun" and "force" must be true or false');
  for (const endpoint of ["127.0.0.1:8080", "localhost:8080", "ws://node", "http://"]) {
    await fails(`the endpoint ${endpoint}`, () => m.rooms({ endpoint }), `TypeError: The endpoint "${endpoint}" is not a URL: write http://`);
  }
  const cannot = async () => { throw new Error("refused"); };
  await fails("no answer", () => m.rooms({ endpoint: "https://node.example/x", fetch: cannot }), "RollcallError: The node at https://node.example does not answer");
  const refused = async () => { throw new TypeError("fetch failed", { cause: Object.assign(new Error("connect"), { code: "ECONNREFUSED" }) }); };
  await fails("a refused connection", () => m.rooms({ endpoint: "https://node.example", fetch: refused }), "https://node.example does not answer (ECONNREFUSED)");
  const page = globalThis.location?.origin;
  const silent = await m.rooms({ endpoint: "https://node.example", fetch: cannot }).catch((error) => error.message);
  same("no answer from another origin", silent, `The node at https://node.example does not answer${page ? `, or does not list this page's origin (${page}) in --cors-origins` : ""}`);
  const unauthorized = async () => Response.json({ error: "Unauthorized: it wants a token" }, { status: 401 });
  const hints = await Promise.all([{}, { endpoint: stage }, { token: "wrong" }].map((where) => m.rooms({ ...where, fetch: unauthorized }).catch((error) => error.message)));
  same("no token", hints, (page ? ["", "", ""] : [". Here: set ROLLCALL_TOKEN or pass token", ". Here: pass token", ""]).map((hint) => `Unauthorized: it wants a token${hint}`));
  const asked = [];
  const moved = async (_, init) => { asked.push(init.redirect); return new Response(null, { status: 301, headers: { Location: "https://elsewhere.example/" } }); };
  const away = m.createClient({ endpoint: "https://node.example", fetch: moved });
  for (const action of ["sync", "cleanup", "fullSync", "startService", "stopService"]) await fails(`a redirected ${action}`, () => away[action](), "RollcallError: https://node.example redirects, and an action is not redirected");
  same("redirects", asked, Array(5).fill("manual"));
  const pages = [{ rooms: [{ roomName: "a" }], nextCursor: "x", incomplete: true }, { rooms: [{ roomName: "b" }] }];
  const lacking = await m.rooms({ endpoint: stage, fetch: async () => Response.json(pages.shift()) }).catch((error) => error);
  same("a list without a shard", [lacking.name, lacking.message, lacking.rooms?.length], ["RollcallError", "Part of Redis does not answer, and its rooms are missing from the list", 2]);
  await fails("null as options", () => m.triggerImmediateSync(null), "TypeError: Options are an object, such as");
  same("after them", await m.room("other"), null);
  same("a room that nobody has", [(await m.syncRoomFromLiveKit("nowhere")).found, (await m.syncRoomFromLiveKit("standup", { dryRun: true })).found], [false, true]);
  same("all rooms by another name", (await m.syncAllRoomsWithLiveKit({ dryRun: true })).synced, 3);

  // Copies of the module share what connect has set.
  await fails("connect with a wrong token", () => m.connect({ endpoint: stage, token: "wrong" }), "RollcallError: ");
  await fails("the copy", () => copy.rooms(), "RollcallError: ");
  await m.connect({ endpoint: stage });
  same("the copy knows", [(await copy.rooms()).length, copy.isSyncServiceRunning()], [2, true]);
  same("running", await m.isSyncServiceRunning({ endpoint: stage }), true);

  // Events go on after a break, without a gap and without a repetition.
  const stop = new AbortController();
  const seen = [];
  const late = setTimeout(() => stop.abort(new Error("nothing came for a minute")), 60_000);
  for await (const { type, id, data } of m.events({ room: "standup", signal: stop.signal })) {
    seen.push(type === "change" ? `${data.type} ${data.identity}` : type);
    if (seen.length === 1) await hook("join?room=standup&who=clara");
    if (seen.length === 2) {
      if (!id) wrong.push("a change has no id");
      await hook("cut/join?room=standup&who=dora");
    }
    if (seen.filter((text) => text !== "connected").length === 2) break;
  }
  clearTimeout(late);
  same("events", seen.filter((text, i) => text !== "connected" || i === 0), ["connected", "participant_joined clara", "participant_joined dora"]);
  if (seen.length < 4) wrong.push(`no break: ${seen}`);
  const aborted = AbortSignal.abort(new Error("no more"));
  await fails("aborted events", async () => { for await (const event of m.events({ signal: aborted })) seen.push(event); }, "no more");
  await fails("refused events", async () => { for await (const event of m.events({ endpoint: stage, token: "wrong" })) seen.push(event); }, "RollcallError: ");
  return wrong.join("\n");
}
