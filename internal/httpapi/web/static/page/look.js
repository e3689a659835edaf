// LiveKit's word on a room, to hold beside Redis: asked again as Redis changes, since the two are to be compared as they are
// and not as they were. What differs may be on its way: it is looked at again soon, and then now and then.

import { createResource } from "./resource.js";

const pause = 1000; // each look spends of the requests that LiveKit answers
const longPause = 15_000;

/** isGone tells that Redis has no such room. */
export const isGone = (room) => room.error?.status === 404;

/** inRedis is what is known of the room in Redis: null when there is nothing, or not yet. */
export const inRedis = (room) => (isGone(room) ? null : room.data);

// edition names what is known of the room in Redis, and is empty while nothing is.
function edition(room) {
  if (isGone(room)) return "gone";
  return room.data ? `${room.data.sid} ${room.data.version}` : "";
}

/**
 * createLook keeps the slice "livekit", whose data have the room in Redis as it was known when LiveKit was asked as before.
 * room is the resource of that room in Redis. found(n) is told how many differences there are; renew() looks anew.
 */
export function createLook(app, room, read) {
  let at = 0;
  let of = "";
  let looks = 0; // of that edition
  let different = 0;

  const livekit = createResource(app.store, "livekit", async () => {
    const known = app.store.state.room;
    looks = edition(known) === of ? looks + 1 : 1;
    [at, of] = [Date.now(), edition(known)];
    const look = await read();
    await room.refresh(); // what happened while LiveKit was asked may be in Redis by now
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
