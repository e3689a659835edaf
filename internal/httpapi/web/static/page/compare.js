// Redis and LiveKit side by side, participant by participant. Pure.

const fields = ["name", "metadata", "attributes", "kind", "hidden", "joinedAt"];

// LiveKit's participants come without fields that are empty; the keys hold them all.
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
 * compare gives { known, rows, different }. A row is { sid, redis, livekit, state, fields }; state is same, differs,
 * redis (only there), livekit (only there), or unknown while LiveKit has not been asked or did not answer.
 */
export function compare(redisRoom, look, error) {
  const known = Boolean(look) && !error;
  const theirs = new Map(known ? sorted(look.participants).map((p) => [p.sid, p]) : []);
  const rows = sorted(redisRoom?.participants).map((redis) => {
    const livekit = theirs.get(redis.sid) ?? null;
    theirs.delete(redis.sid);
    if (!known) return { sid: redis.sid, redis, livekit: null, state: "unknown", fields: [] };
    if (!livekit) return { sid: redis.sid, redis, livekit, state: "redis", fields: [] };
    const differs = differing(redis, livekit);
    return { sid: redis.sid, redis, livekit, state: differs.length ? "differs" : "same", fields: differs };
  });
  for (const livekit of theirs.values()) rows.push({ sid: livekit.sid, redis: null, livekit, state: "livekit", fields: [] });
  return { known, rows, different: rows.filter((row) => row.state !== "same" && row.state !== "unknown").length };
}
