-- Reads a page of a stream of changes. It writes nothing.
--
-- KEYS    1 the stream
-- ARGV    1 the id after which the page begins; 2: 1 for the changes of one room only; 3 that room
--         4 how many entries the script may examine, 5 how many bytes it may return, 6 how many bytes it may examine
--         7 the largest value of a field: larger data is returned as null, any other larger field as empty
-- returns {Redis' time in ms, the last id examined, 1 if there are more, entries examined, bytes examined,
--         the size of an entry that does not fit in an empty page or 0, id, fields, id, fields, …}
--
-- After an id at or beyond the newest entry's there is nothing: the page ends at that entry. Few entries are read at a
-- time, since each may be several MB.

local STEP, SMALL = 16, 16384
local key, at, one, room = KEYS[1], ARGV[1], ARGV[2] == '1', ARGV[3]
local most, space, sight, largest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local time = redis.call('TIME')
local reply = {time[1] .. string.sub('000000' .. time[2], -6, -4), '0-0', 0, 0, 0, 0}
if redis.call('TYPE', key).ok ~= 'stream' then return reply end
local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
if #newest == 0 then return reply end
newest = newest[1][1]
local ms, n = string.match(at, '^(%d+)-(%d+)$')
local newestMs, newestN = string.match(newest, '^(%d+)-(%d+)$')
if order(ms, n, newestMs, newestN) >= 0 then
  reply[2] = newest
  return reply
end

-- measures an entry, leaves out values that are too large, and reports whether the entry is wanted
local function weigh(fields)
  local looked, size, wanted = 0, 0, not one
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    looked = looked + #name + #value
    if name == 'room' and value == room then wanted = true end
    if #value > largest then fields[i + 1] = name == 'data' and 'null' or '' end
    size = size + #name + #fields[i + 1]
  end
  return looked, size, wanted
end

local looked, seen, given, step, full = 0, 0, 0, 1, false
while not full and at ~= newest and looked < most and seen < sight do
  local page = redis.call('XRANGE', key, '(' .. at, '+', 'COUNT', math.min(step, most - looked))
  if #page == 0 then break end
  local before = seen
  for _, entry in ipairs(page) do
    local all, size, wanted = weigh(entry[2])
    if wanted and given + size > space then
      if given == 0 then reply[6] = size end
      full = true
      break
    end
    at, looked, seen = entry[1], looked + 1, seen + all
    if wanted then
      given = given + size
      reply[#reply + 1] = entry[1]
      reply[#reply + 1] = entry[2]
    end
  end
  step = seen - before < SMALL and math.min(2 * step, STEP) or 1
end
reply[2], reply[3], reply[4], reply[5] = at, at ~= newest and 1 or 0, looked, seen
return reply
