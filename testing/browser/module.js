// What the module promises, as a function of the module and of the stage: the same in a browser and in Node.js. It returns "" or what is wrong.
export async function checkModule(m, stage) {
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
  same("after them", await m.room("other"), null);
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
