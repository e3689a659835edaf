-- Commits one room's write whole, or refuses it.
--
-- KEYS    1 fence, 2 participants, 3 states, 4 feed, 5 timeline, 6 index
-- ARGV    1-3   the claim: generation, epoch, incarnation
--         4-5   the leader's token: generation, index; 0 and 0 act for no leader
--         6-7   the version it was computed from, and its own; when they are equal it only checks
--         8     public keys: 0 leave, 1 set, 2 delete
--         9-10  1: compare the public keys with their digests, and that they do not expire, and see to it that the index
--               has a room with public keys; 1: drop tombstones past their time
--         11-14 the instance's sid, createdMs, finishedAt; confirmedAt
--         15-18 participants and states, and the digest of each (with 1)
--         19-20 about how long the feed may grow, 0 for no feed; 1: the feed is this room's own
--         21-24 of every feed entry: room, prev, cause, time; a write by the cause webhook notes Redis' time as touched
--         25    how many tombstones, then for each: sid, <joinedAt>:<how it ended>:<identity>
--         then  how many sids whose tombstone goes, and those
--         then  how many feed entries, then for each: n, type, identity, sid, data, and of a
--               participant_left reason, joinedAt, leftAt; reason is empty for all others
--         then  about the timeline: how many entries it may have, and those to add, oldest first
-- returns {1} stale owner, {2} split, {3} conflict, {4} stale leader, or
--         {0, Redis' time in seconds, 1 if the public keys were not what the record wrote, 1 if the index was of another type,
--         sids of dropped tombstones…}
--
-- Nothing can fail after the first write: under memory pressure Redis refuses a script's first write or none.

local fence, participants, states, feed, timeline, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local expect, version, public = ARGV[6], ARGV[7], ARGV[8]

local r = stored(fence)
local why = refusal(r, ARGV[1], ARGV[2], ARGV[3], expect, ARGV[4], ARGV[5])
if why ~= 0 then return {why} end

local function wrote(key, digest)
  local kind = redis.call('TYPE', key).ok
  if not digest or digest == '' then return kind == 'none' end
  return kind == 'string' and redis.call('PTTL', key) == -1 and redis.sha1hex(redis.call('GET', key)) == digest
end
local live = r[7] and r[7] ~= ''
local altered, replaced = 0, 0
if ARGV[9] == '1' then
  local whole = wrote(participants, redis.call('HGET', fence, 'dp')) and wrote(states, r[7])
  altered = whole and 0 or 1
  if live and public ~= '2' then replaced = enlist(index, ARGV[21]) end
end
local now = redis.call('TIME')[1]
if version == expect then return {0, now, altered, replaced} end

-- Deletions come first: they make room where memory is short.
local lived = live
if public == '2' then
  live = false
  redis.call('DEL', participants, states)
  delist(index, ARGV[21])
end
redis.call('HSET', fence, 'version', version, 'sid', ARGV[11], 'created', ARGV[12], 'finished', ARGV[13], 'confirmed', ARGV[14])
if ARGV[23] == 'webhook' then
  redis.call('HSET', fence, 'touched', now)
end
if ARGV[4] ~= '0' or ARGV[5] ~= '0' then
  redis.call('HSET', fence, 'lgen', ARGV[4], 'lidx', ARGV[5])
end
if public == '1' then
  live = true
  redis.call('SET', participants, ARGV[15])
  redis.call('SET', states, ARGV[16])
  if ARGV[9] ~= '1' or not lived then replaced = enlist(index, ARGV[21]) end
end
if public ~= '0' then
  redis.call('HSET', fence, 'dp', ARGV[17], 'ds', ARGV[18])
end

local at = 25
local bury = tonumber(ARGV[at])
local exhume = at + 2 * bury + 1
for i = exhume + 1, exhume + tonumber(ARGV[exhume]) do
  redis.call('HDEL', fence, 't:' .. ARGV[i])
end
for i = at + 1, at + 2 * bury, 2 do
  redis.call('HSET', fence, 't:' .. ARGV[i], now .. ':' .. ARGV[i + 1])
end

local reply = {0, now, altered, replaced}
if ARGV[10] == '1' then
  local flat = redis.call('HGETALL', fence)
  for i = 1, #flat, 2 do
    if #reply < MAX_PRUNED + 4 and past(flat[i], flat[i + 1], now) then
      redis.call('HDEL', fence, flat[i])
      reply[#reply + 1] = string.sub(flat[i], 3)
    end
  end
end

at = exhume + tonumber(ARGV[exhume]) + 1
local of = ARGV[at]
local told = at + 8 * tonumber(of) + 1
if of ~= '0' and ARGV[19] ~= '0' then
  local kind = redis.call('TYPE', feed).ok
  if kind ~= 'none' and kind ~= 'stream' then redis.call('DEL', feed) end
  for i = at + 1, at + 8 * tonumber(of), 8 do
    local left = {}
    if ARGV[i + 5] ~= '' then
      left = {'reason', ARGV[i + 5], 'joinedAt', ARGV[i + 6], 'leftAt', ARGV[i + 7]}
    end
    redis.call('XADD', feed, 'MAXLEN', '~', ARGV[19], '*', 'room', ARGV[21], 'gen', ARGV[1], 'epoch', ARGV[2],
      'version', version, 'prev', ARGV[22], 'n', ARGV[i], 'of', of, 'type', ARGV[i + 1], 'identity', ARGV[i + 2],
      'sid', ARGV[i + 3], 'cause', ARGV[23], 'time', ARGV[24], 'data', ARGV[i + 4], unpack(left))
  end
  redis.call('HSET', fence, 'appended', version)
end

if #ARGV > told then
  -- Of another type it is not ours: pcall, since TYPE would cost every commit a command.
  local length = redis.pcall('LPUSH', timeline, unpack(ARGV, told + 1))
  if type(length) ~= 'number' then
    redis.call('DEL', timeline)
    length = redis.call('LPUSH', timeline, unpack(ARGV, told + 1))
  end
  local max = tonumber(ARGV[told])
  if length >= max + max / 4 then redis.call('LTRIM', timeline, 0, max - 1) end -- seldom, for each costs as much as the push
end
if not live then
  redis.call('EXPIRE', timeline, RECORD_SECONDS)
elseif not lived then
  redis.call('PERSIST', timeline)
end

if live then
  redis.call('PERSIST', fence)
else
  redis.call('EXPIRE', fence, RECORD_SECONDS)
end
if ARGV[20] == '1' then
  if live then
    redis.call('PERSIST', feed)
  else
    redis.call('EXPIRE', feed, RECORD_SECONDS)
  end
end
return reply
