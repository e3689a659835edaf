-- Commits one room's write completely, or refuses it.
--
-- This is the body of the function commit, which commits.lua calls; now is Redis' time in seconds.
--
-- KEYS    1 fence, 2 participants, 3 states, 4 feed, 5 timeline, 6 index
-- ARGV    1-3   the claim: generation, epoch, incarnation
--         4-5   the leader's token: generation, index; 0 and 0 for no leader
--         6-7   the version it was computed from, and the version it writes; when they are equal the script only checks
--         8     public keys: 0 leave, 1 set, 2 delete
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
local fence, participants, states, feed, timeline, index = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local expect, version, public = ARGV[6], ARGV[7], ARGV[8]

local r = stored(fence)
local why = refusal(r, ARGV[1], ARGV[2], ARGV[3], expect, ARGV[4], ARGV[5])
if why ~= 0 then return {why} end

local live = r[7] and r[7] ~= ''
-- reports whether the public keys are as the record wrote them; a key of another type has no value
local function intact()
  if not live then return redis.call('EXISTS', participants, states) == 0 end
  local values = redis.call('MGET', participants, states)
  return values[1] and values[2] and redis.sha1hex(values[1]) == r[8] and redis.sha1hex(values[2]) == r[7]
    and (ARGV[9] == '1' or redis.call('PTTL', participants) == -1 and redis.call('PTTL', states) == -1)
end
local altered, replaced = 0, 0
if ARGV[9] ~= '0' then
  altered = intact() and 0 or 1
  if live and ARGV[9] == '2' and public ~= '2' and type(redis.pcall('ZSCORE', index, ARGV[21])) ~= 'string' then
    replaced = enlist(index, ARGV[21])
  end
end
if version == expect then return {0, now, altered, replaced} end

local fields = {'version', version, 'sid', ARGV[11], 'created', ARGV[12], 'finished', ARGV[13], 'confirmed', ARGV[14]}
local function put(field, value)
  fields[#fields + 1] = field
  fields[#fields + 1] = value
  if #fields >= MOST_FIELDS then
    redis.call('HSET', fence, unpack(fields))
    fields = {}
  end
end

-- Deletions come first: they free memory when Redis is full.
local lived = live
if public == '2' then
  live = false
  redis.call('DEL', participants, states)
  delist(index, ARGV[21])
end
if ARGV[23] == 'webhook' then put('touched', now) end
if ARGV[4] ~= '0' or ARGV[5] ~= '0' then
  put('lgen', ARGV[4])
  put('lidx', ARGV[5])
end
if public ~= '0' then
  put('dp', ARGV[17])
  put('ds', ARGV[18])
end

local at = 25
local added = tonumber(ARGV[at])
local removed = at + 2 * added + 1
for i = removed + 1, removed + tonumber(ARGV[removed]) do
  redis.call('HDEL', fence, 't:' .. ARGV[i])
end
for i = at + 1, at + 2 * added, 2 do
  put('t:' .. ARGV[i], now .. ':' .. ARGV[i + 1])
end

at = removed + tonumber(ARGV[removed]) + 1
local of = ARGV[at]
local feeds = of ~= '0' and ARGV[19] ~= '0'
if feeds then put('appended', version) end
if #fields > 0 then redis.call('HSET', fence, unpack(fields)) end
if public == '1' then
  live = true
  redis.call('MSET', participants, ARGV[15], states, ARGV[16])
  if not lived then replaced = enlist(index, ARGV[21]) end
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

local function append(...)
  local id = redis.pcall('XADD', feed, 'MAXLEN', '~', ARGV[19], '*', ...)
  if foreign(id) then redis.call('DEL', feed) end
  if type(id) == 'table' then redis.call('XADD', feed, 'MAXLEN', '~', ARGV[19], '*', ...) end
end

local told = at + 8 * tonumber(of) + 1
if feeds then
  for i = at + 1, at + 8 * tonumber(of), 8 do
    local left = {}
    if ARGV[i + 5] ~= '' then
      left = {'reason', ARGV[i + 5], 'joinedAt', ARGV[i + 6], 'leftAt', ARGV[i + 7]}
    end
    append('room', ARGV[21], 'gen', ARGV[1], 'epoch', ARGV[2],
      'version', version, 'prev', ARGV[22], 'n', ARGV[i], 'of', of, 'type', ARGV[i + 1], 'identity', ARGV[i + 2],
      'sid', ARGV[i + 3], 'cause', ARGV[23], 'time', ARGV[24], 'data', ARGV[i + 4], unpack(left))
  end
end

if #ARGV > told then
  local length = redis.pcall('LPUSH', timeline, unpack(ARGV, told + 1))
  if type(length) ~= 'number' then
    redis.call('DEL', timeline)
    length = redis.call('LPUSH', timeline, unpack(ARGV, told + 1))
  end
  local max = tonumber(ARGV[told])
  if length >= max + max / 4 then redis.call('LTRIM', timeline, 0, max - 1) end -- seldom, because a trim costs as much as the push
end
if not live then
  redis.call('EXPIRE', timeline, RECORD_SECONDS)
elseif not lived then
  redis.call('PERSIST', timeline)
end

-- A record that was live has no expiry unless others set one, which the checks of ARGV[9] undo.
local persist = live and (not lived or ARGV[9] ~= '0')
local function last(key)
  if persist then
    redis.call('PERSIST', key)
  elseif not live then
    redis.call('EXPIRE', key, RECORD_SECONDS)
  end
end
last(fence)
if ARGV[20] == '1' then last(feed) end
return reply
