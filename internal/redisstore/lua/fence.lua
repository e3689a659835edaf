-- Code that all scripts share; it is prepended to each of them.
--
-- Numbers are decimals without sign or leading zeros. They come from Go or from TIME as text and stay text: Lua never formats one. Numbers are
-- compared as text (longer is greater), so the order is exact for all 64 bits.

local STALE_OWNER, SPLIT, CONFLICT, STALE_LEADER = 1, 2, 3, 4
local RECORD_SECONDS = '86400'
local TOMBSTONE_SECONDS = 1800

local function compare(a, b)
  if a == b then return 0 end
  if #a ~= #b then return #a < #b and -1 or 1 end
  return a < b and -1 or 1
end

-- compares two pairs of numbers: by the first numbers, and if those are equal by the second
local function order(a1, a2, b1, b2)
  local first = compare(a1, b1)
  if first ~= 0 then return first end
  return compare(a2, b2)
end

-- reports whether a value is a decimal that Go would write and read. If others wrote a number that Go reads as another number, or not at all,
-- every commit would be refused forever.
local function number(n)
  return n and (n == '0' or string.match(n, '^[1-9]%d*$')) and compare(n, '18446744073709551615') <= 0
end

-- reports whether a reply is the error of a key of another type, which someone else wrote
local function foreign(reply)
  return type(reply) == 'table' and reply.err and string.sub(reply.err, 1, 9) == 'WRONGTYPE'
end

-- returns the record {gen, epoch, inc, version, lgen, lidx, ds, dp}, or nil for a key of another type, or one without claim and version. The
-- arguments after the key are the claim and the version that the caller expects, or nil: a stored text that equals one of them is a number.
local function stored(fence, gen, epoch, inc, version)
  local r = redis.pcall('HMGET', fence, 'gen', 'epoch', 'inc', 'version', 'lgen', 'lidx', 'ds', 'dp')
  if r.err then
    if not foreign(r) then redis.call('HMGET', fence, 'gen') end -- fails the same way, and ends the script as Redis ends it
    return nil
  end
  if r[4] ~= version or r[3] ~= inc or r[2] ~= epoch or r[1] ~= gen then
    for i = 1, 4 do
      if not number(r[i]) then return nil end
    end
  end
  for i = 5, 6 do
    if not number(r[i]) then r[i] = '0' end
  end
  return r
end

-- returns why a write by this claim and leader token must be refused, or 0
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

-- adds a room to the index. It returns 1 if the key was of another type: then it replaces the key, and a later scan finds the rooms that were
-- lost. Any other error, such as full memory, is the second value; the room then stays out of the index until its next commit or sync.
local function enlist(index, room)
  local reply = redis.pcall('ZADD', index, '0', room)
  if type(reply) == 'number' then return 0 end
  if not foreign(reply) then return 0, reply.err end
  redis.call('DEL', index)
  redis.call('ZADD', index, '0', room)
  return 1
end

-- removes a room from the index; an index of another type has no rooms
local function delist(index, room)
  redis.pcall('ZREM', index, room)
end

-- the most tombstones that one script deletes: the rest are left to the next
local MAX_PRUNED = 500

-- tombstones are fields t:<sid> = <Redis seconds>:<joinedAt>:<1 ended by a poll, 2 by a migration, 0>:<identity>; reports whether the field is
-- one that has expired
local function past(field, value, now)
  if string.sub(field, 1, 2) ~= 't:' then return false end
  local buried = string.match(value, '^(%d+):')
  return not buried or tonumber(now) - tonumber(buried) >= TOMBSTONE_SECONDS
end
