-- Tries what the scripts of a room do: whether this user is allowed to, and whether Redis takes writes at all.
--
-- KEYS    1 and 2: keys that belong to no room
-- ARGV    1 how long the key stays afterwards, in seconds; 2: 1 if commits append to a feed; 3: 1 if they keep timelines
-- returns Redis' time in seconds
--
-- The first write is one that Redis refuses when its memory is full. After a deletion Redis would allow the others. The script adds
-- the command to an error, since Redis before 7.2 does not name it.

local key = KEYS[1]
local commands = {
  {'SET', key, '0'}, {'MSET', key, '0'}, {'RENAME', key, KEYS[2]}, {'RENAME', KEYS[2], key}, {'GET', key}, {'PTTL', key}, {'EXISTS', key}, {'TYPE', key}, {'DEL', key},
  {'HSET', key, 'a', '0'}, {'HGET', key, 'a'}, {'HMGET', key, 'a', 'b'}, {'HGETALL', key}, {'HDEL', key, 'a'},
  {'EXPIRE', key, ARGV[1]}, {'PERSIST', key}, {'DEL', key},
  {'ZADD', key, 0, 'a'}, {'ZREM', key, 'a'},
}
local function add(command)
  commands[#commands + 1] = command
end
if ARGV[2] == '1' then
  add({'XADD', key, 'MAXLEN', '~', '1', '*', 'a', '0'})
  add({'DEL', key})
end
if ARGV[3] == '1' then
  add({'LPUSH', key, '0'})
  add({'LTRIM', key, 0, 0})
  add({'DEL', key})
end
add({'SET', key, '0', 'EX', ARGV[1]})
add({'TIME'})

local last
for _, command in ipairs(commands) do
  last = redis.pcall(unpack(command))
  if type(last) == 'table' and last.err then
    return {err = last.err .. ' (command ' .. command[1] .. ')'}
  end
end
return last[1]
