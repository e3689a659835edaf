-- Claims a room, then reads it.
--
-- KEYS    1 fence, 2 participants, 3 states, 4 timeline
-- ARGV    1 generation, 2 epoch, 3 incarnation
-- returns {1} stale owner, {2} split, or
--         {0, the record as field, value, …, type of participants, its value, type of states, its value, Redis' time in seconds}
--
-- The record is returned as it was before the claim, without expired tombstones; the script deletes at most MAX_PRUNED of
-- those. A value is null unless its type is string. The record and the timeline of a room without public keys expire after 24 h,
-- unless the record says that it had some: then others deleted them, and the next commit decides.

local fence, participants, states = KEYS[1], KEYS[2], KEYS[3]
local gen, epoch, inc = ARGV[1], ARGV[2], ARGV[3]

local r = stored(fence)
local claim = {'gen', gen, 'epoch', epoch, 'inc', inc}
if r then
  local by = order(gen, epoch, r[1], r[2])
  if by < 0 then return {STALE_OWNER} end
  if by == 0 and inc ~= r[3] then return {SPLIT} end
else
  redis.call('DEL', fence)
  claim[7], claim[8] = 'version', '0'
end

local now = redis.call('TIME')[1]
local flat, kept, pruned = redis.call('HGETALL', fence), {}, 0
for i = 1, #flat, 2 do
  if past(flat[i], flat[i + 1], now) then
    if pruned < MAX_PRUNED then redis.call('HDEL', fence, flat[i]) end
    pruned = pruned + 1
  else
    kept[#kept + 1] = flat[i]
    kept[#kept + 1] = flat[i + 1]
  end
end
redis.call('HSET', fence, unpack(claim))

local function read(key)
  local kind = redis.call('TYPE', key).ok
  return kind, kind == 'string' and redis.call('GET', key)
end
local ptype, pvalue = read(participants)
local stype, svalue = read(states)
if ptype == 'none' and stype == 'none' and not (r and r[7] and r[7] ~= '') then
  redis.call('EXPIRE', fence, RECORD_SECONDS)
  redis.call('EXPIRE', KEYS[4], RECORD_SECONDS)
else
  redis.call('PERSIST', fence)
end
return {0, kept, ptype, pvalue, stype, svalue, now}
