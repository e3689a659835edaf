// Compares Redis and LiveKit participant by participant. Pure.

const fields = ["name", "metadata", "attributes", "kind", "hidden", "joinedAt"];

// LiveKit's participants lack fields that are empty; the keys contain all of them.
function text(participant, field) {
  const value = participant[field];
  if (field === "attributes") return JSON.stringify(Object.entries(value ?? {}).sort());
  if (field === "kind") return value || "STANDARD";
  if (field === "hidden") return String(Boolean(value));
  return String(value ?? "");
}

function differing(redis, livekit) {
  return fields.filter((field) => text(redis, field) !== text(livekit, field));
}

function sorted(participants) {
  return [...(participants ?? [])].sort((a, b) => (a.joinedAt ?? 0) - (b.joinedAt ?? 0) || (a.identity < b.identity ? -1 : 1));
}

/**
 * compare returns { known, rows, different }. A row is { sid, redis, livekit, state, fields }; state is same, differs,
 * redis (only there), livekit (only there), or unknown while LiveKit has not been asked or did not answer. before is the
 * room in Redis when LiveKit was asked: participants that joined or changed since are unknown too, and those that left are omitted.
 */
export function compare(redisRoom, look, error, before = redisRoom) {
  const known = Boolean(look) && !error;
  const earlier = new Map((before?.participants ?? []).map((p) => [p.sid, p]));
  const settled = (redis) => earlier.has(redis.sid) && !differing(earlier.get(redis.sid), redis).length;
  const theirs = new Map(known ? sorted(look.participants).map((p) => [p.sid, p]) : []);
  const rows = sorted(redisRoom?.participants).map((redis) => {
    const livekit = theirs.get(redis.sid) ?? null;
    theirs.delete(redis.sid);
    if (!known) return { sid: redis.sid, redis, livekit: null, state: "unknown", fields: [] };
    const differs = livekit ? differing(redis, livekit) : [];
    if (livekit && !differs.length) return { sid: redis.sid, redis, livekit, state: "same", fields: [] };
    if (!settled(redis)) return { sid: redis.sid, redis, livekit: null, state: "unknown", fields: [] };
    return { sid: redis.sid, redis, livekit, state: livekit ? "differs" : "redis", fields: differs };
  });
  for (const livekit of theirs.values()) if (!earlier.has(livekit.sid)) rows.push({ sid: livekit.sid, redis: null, livekit, state: "livekit", fields: [] });
  return { known, rows, different: rows.filter((row) => row.state !== "same" && row.state !== "unknown").length };
}
