// LiveKit's state of a room, for comparison with Redis. It is requested again when Redis changes, because current states must be
// compared. A difference may be a change in flight: LiveKit is asked again soon, and then from time to time.

import { createResource } from "./resource.js";

const pause = 1000; // each request counts against LiveKit's budget
const longPause = 15_000;

/** isGone reports whether Redis has no such room. */
export const isGone = (room) => room.error?.status === 404;

/** inRedis returns the known state of the room in Redis: null if there is none, or none yet. */
export const inRedis = (room) => (isGone(room) ? null : room.data);

// edition identifies the known state of the room in Redis, and is empty while there is none.
function edition(room) {
  if (isGone(room)) return "gone";
  return room.data ? `${room.data.sid} ${room.data.version}` : "";
}

/**
 * createLook keeps the slice "livekit", whose data contain, as before, the state of the room in Redis when LiveKit was asked.
 * room is the resource of that room in Redis. found(n) is called with the number of differences; renew() asks LiveKit again.
 */
export function createLook(app, room, read) {
  let at = 0;
  let of = "";
  let looks = 0; // for that edition
  let different = 0;

  const livekit = createResource(app.store, "livekit", async () => {
    const known = app.store.state.room;
    looks = edition(known) === of ? looks + 1 : 1;
    [at, of] = [Date.now(), edition(known)];
    const look = await read();
    await room.refresh(); // changes made while LiveKit was asked may be in Redis by now
    return { ...look, before: inRedis(known) };
  });

  app.store.on(["room", "second"], (state) => {
    if (state.route?.view !== "room" || document.hidden || edition(state.room) === "") return;
    const settled = edition(state.room) === of;
    if (settled && !different && !state.livekit.error) return;
    if (Date.now() - at >= (settled && looks > 1 ? longPause : pause)) livekit.refresh();
  });

  return {
    ...livekit,
    found(n) { different = n; },
    renew() { [at, of] = [0, ""]; },
  };
}
