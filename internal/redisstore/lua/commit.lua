-- Commits one room's write completely, or refuses it.
--
-- This is the body of the function commit(k, a), which commits.lua calls: KEYS and ARGV begin after k and a, and end with ARGV[last]. now is
-- Redis' time in seconds. Most of a commit's time is Lua's own, so it makes few tables and calls few functions.
--
-- KEYS    1 fence, 2 participants, 3 states, 4 feed, 5 timeline, 6 index, and if ARGV[8] is 3: 7 staged
-- ARGV    1-3   the claim: generation, epoch, incarnation
--         4-5   the leader's token: generation, index; 0 and 0 for no leader
--         6-7   the version it was computed from, and the version it writes; when they are equal the script only checks
--         8     public keys: 0 leave, 1 set, 2 delete, 3 set, where the states are not in ARGV but in the key staged, which is this commit's alone
--         9     1: compare the values of the public keys with their digests
--               2: also check that they do not expire, and put a room that has public keys into the index
--         10    1: delete expired tombstones
--         11-14 the instance's sid, createdMs, finishedAt; confirmedAt
--         15-18 participants and states, and the digest of each (if ARGV[8] is 1)
--         19-20 about how long the feed may grow, 0 for no feed; 1: the feed belongs to this room alone
--         21-24 common to all feed entries: room, prev, cause, time; the cause webhook sets touched to Redis' time
--         25    the number of tombstones to add, then for each: sid, <joinedAt>:<how it ended>:<identity>
--         then  the number of tombstones to remove, then their sids
--         then  the number of feed entries, then for each: n, type, identity, sid, data, and for a
--               participant_left reason, joinedAt, leftAt; reason is empty for all others
--         then  the maximum length of the timeline, then the entries to add, oldest first
-- returns {1} stale owner, {2} split, {3} conflict, {4} stale leader, or
--         {0, Redis' time in seconds, 1 if the public keys were not what the record says, 1 if the index was of another type,
--         sids of deleted tombstones…}
--
-- Nothing can fail after the first write: when memory is full Redis refuses a script's first write or none.

local MOST_FIELDS = 1000 -- in one HSET: what Lua can pass to a command is limited
local fence, participants, states, feed, timeline, index = unpack(KEYS, k + 1, k + 6)
local gen, epoch, inc, lgen, lidx, expect, version, public, verify, prune, sid, created, finished, confirmed,
  people, state, people_digest, state_digest, feed_max, own_feed, room, prev, cause, time = unpack(ARGV, a + 1, a + 24)

-- where the numbers of tombstones to add and to remove, of feed entries, and the timeline's length are
local adds = a + 25
local removes = adds + 2 * tonumber(ARGV[adds]) + 1
local entries = removes + tonumber(ARGV[removes]) + 1
local told = entries + 8 * tonumber(ARGV[entries]) + 1
if told > last then error('a commit lacks arguments') end -- it would take those of the next one

local staged
if public == '3' then
  public, staged = '1', KEYS[k + 7]
end

local r = stored(fence, gen, epoch, inc, expect)
local why = refusal(r, gen, epoch, inc, expect, lgen, lidx)
if why ~= 0 then
  if staged then redis.call('DEL', staged) end
  return {why}
end

local live = r[7] and r[7] ~= ''
-- reports whether the public keys are as the record wrote them; a key of another type has no value
local function intact()
  if not live then return redis.call('EXISTS', participants, states) == 0 end
  local values = redis.call('MGET', participants, states)
  return values[1] and values[2] and redis.sha1hex(values[1]) == r[8] and redis.sha1hex(values[2]) == r[7]
    and (verify == '1' or redis.call('PTTL', participants) == -1 and redis.call('PTTL', states) == -1)
end
local altered, replaced = 0, 0
if verify ~= '0' then altered = intact() and 0 or 1 end
-- The first write, because it may fail: without permission, or if the key is not there.
if staged then
  redis.call('RENAME', staged, states)
  redis.call('PERSIST', states)
end
if live and verify == '2' and public ~= '2' and type(redis.pcall('ZSCORE', index, room)) ~= 'string' then
  replaced = enlist(index, room)
end
if version == expect then return {0, now, altered, replaced} end

-- Deletions come first: they free memory when Redis is full.
local lived = live
if public == '2' then
  live = false
  redis.call('DEL', participants, states)
  delist(index, room)
end

for i = removes + 1, entries - 1 do
  redis.call('HDEL', fence, 't:' .. ARGV[i])
end
local fields, n = {}, 0
for i = adds + 1, removes - 1, 2 do
  fields[n + 1], fields[n + 2], n = 't:' .. ARGV[i], now .. ':' .. ARGV[i + 1], n + 2
  if n >= MOST_FIELDS then
    redis.call('HSET', fence, unpack(fields, 1, n))
    n = 0
  end
end
if cause == 'webhook' then
  fields[n + 1], fields[n + 2], n = 'touched', now, n + 2
end
if lgen ~= '0' or lidx ~= '0' then
  fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4], n = 'lgen', lgen, 'lidx', lidx, n + 4
end
if public ~= '0' then
  fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4], n = 'dp', people_digest, 'ds', state_digest, n + 4
end

local of = ARGV[entries]
local feeds = of ~= '0' and feed_max ~= '0'
if feeds then
  fields[n + 1], fields[n + 2], n = 'appended', version, n + 2
end
redis.call('HSET', fence, 'version', version, 'sid', sid, 'created', created, 'finished', finished, 'confirmed', confirmed, unpack(fields, 1, n))
if public == '1' then
  live = true
  if staged then
    redis.call('SET', participants, people)
  else
    redis.call('MSET', participants, people, states, state)
  end
  if not lived then replaced = enlist(index, room) end
end

local reply = {0, now, altered, replaced}
if prune == '1' then
  local flat = redis.call('HGETALL', fence)
  for i = 1, #flat, 2 do
    if #reply < MAX_PRUNED + 4 and past(flat[i], flat[i + 1], now) then
      redis.call('HDEL', fence, flat[i])
      reply[#reply + 1] = string.sub(flat[i], 3)
    end
  end
end

local function append(...)
  local id = redis.pcall('XADD', feed, 'MAXLEN', '~', feed_max, '*', ...)
  if type(id) ~= 'table' then return end
  if foreign(id) then redis.call('DEL', feed) end
  redis.call('XADD', feed, 'MAXLEN', '~', feed_max, '*', ...)
end

if feeds then
  for i = entries + 1, told - 1, 8 do
    local nth, kind, identity, psid, data, reason, joined, left = unpack(ARGV, i, i + 7)
    if reason == '' then
      append('room', room, 'gen', gen, 'epoch', epoch, 'version', version, 'prev', prev, 'n', nth, 'of', of, 'type', kind,
        'identity', identity, 'sid', psid, 'cause', cause, 'time', time, 'data', data)
    else
      append('room', room, 'gen', gen, 'epoch', epoch, 'version', version, 'prev', prev, 'n', nth, 'of', of, 'type', kind,
        'identity', identity, 'sid', psid, 'cause', cause, 'time', time, 'data', data, 'reason', reason, 'joinedAt', joined, 'leftAt', left)
    end
  end
end

if last > told then
  local length = redis.pcall('LPUSH', timeline, unpack(ARGV, told + 1, last))
  if type(length) ~= 'number' then
    redis.call('DEL', timeline)
    length = redis.call('LPUSH', timeline, unpack(ARGV, told + 1, last))
  end
  local max = tonumber(ARGV[told])
  if length >= max + max / 4 then redis.call('LTRIM', timeline, 0, max - 1) end -- seldom, because a trim costs as much as the push
end
if not live then
  redis.call('EXPIRE', timeline, RECORD_SECONDS)
elseif not lived then
  redis.call('PERSIST', timeline)
end

-- A record that was live has no expiry unless others set one, which the checks of verify undo.
local persist = live and (not lived or verify ~= '0')
local function expiry(key)
  if persist then
    redis.call('PERSIST', key)
  elseif not live then
    redis.call('EXPIRE', key, RECORD_SECONDS)
  end
end
expiry(fence)
if own_feed == '1' then expiry(feed) end
return reply
