-- What the scripts of a room share; it is put before each of them.
--
-- Numbers are decimals without sign or leading zeros. They come from Go or from TIME as text and stay text: Lua never
-- formats one. Order is that of the text (longer is greater), so it is exact for all 64 bits.

local STALE_OWNER, SPLIT, CONFLICT, STALE_LEADER = 1, 2, 3, 4
local RECORD_SECONDS = '86400'
local TOMBSTONE_SECONDS = 1800

local function compare(a, b)
  if a == b then return 0 end
  if #a ~= #b then return #a < #b and -1 or 1 end
  return a < b and -1 or 1
end

-- precedence of one pair of numbers over another: the first decides, then the second
local function order(a1, a2, b1, b2)
  local first = compare(a1, b1)
  if first ~= 0 then return first end
  return compare(a2, b2)
end

-- whether a value is a decimal that Go would write and read: one that others wrote and Go reads as another number, or as
-- none, would refuse every commit for ever
local function number(n)
  return n and (n == '0' or string.match(n, '^[1-9]%d*$')) and compare(n, '18446744073709551615') <= 0
end

-- the record {gen, epoch, inc, version, lgen, lidx, ds}, or nil: a key of another type, or without claim and version, is none
local function stored(fence)
  if redis.call('TYPE', fence).ok ~= 'hash' then return nil end
  local r = redis.call('HMGET', fence, 'gen', 'epoch', 'inc', 'version', 'lgen', 'lidx', 'ds')
  for i = 1, 4 do
    if not number(r[i]) then return nil end
  end
  for i = 5, 6 do
    if not number(r[i]) then r[i] = '0' end
  end
  return r
end

-- why a write by this claim and leader token must not happen, or 0
local function refusal(r, gen, epoch, inc, expect, lgen, lidx)
  if not r then return CONFLICT end
  local by = order(gen, epoch, r[1], r[2])
  if by < 0 then return STALE_OWNER end
  if by > 0 then return CONFLICT end
  if inc ~= r[3] then return SPLIT end
  if expect and expect ~= r[4] then return CONFLICT end
  local led = lgen ~= '0' or lidx ~= '0'
  if led and order(lgen, lidx, r[5], r[6]) < 0 then return STALE_LEADER end
  return 0
end

-- puts a room on the index. It returns 1 if others held the key as another type: the key is replaced, and a scan finds again what
-- was lost with it. Another error, such as of a full memory, is the second value; it leaves the room unlisted until its next commit or sync.
local function enlist(index, room)
  local reply = redis.pcall('ZADD', index, '0', room)
  if type(reply) == 'number' then return 0 end
  if string.sub(reply.err, 1, 9) ~= 'WRONGTYPE' then return 0, reply.err end
  redis.call('DEL', index)
  redis.call('ZADD', index, '0', room)
  return 1
end

-- takes a room off the index; an index of another type has no rooms
local function delist(index, room)
  redis.pcall('ZREM', index, room)
end

-- how many tombstones one script drops at the most: more are left to the next
local MAX_PRUNED = 500

-- tombstones are fields t:<sid> = <Redis seconds>:<joinedAt>:<1 ended by a poll, 2 by a migration, 0>:<identity>
local function past(field, value, now)
  if string.sub(field, 1, 2) ~= 't:' then return false end
  local buried = string.match(value, '^(%d+):')
  return not buried or tonumber(now) - tonumber(buried) >= TOMBSTONE_SECONDS
end
