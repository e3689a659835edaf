-- Adds rooms to the index. It needs no claim: cleanup removes superfluous entries.
--
-- KEYS    1 index
-- ARGV    rooms
-- returns 1 if the index was of another type and has been replaced, otherwise 0; or the error of the first room that could not be added

local replaced = 0
for _, room in ipairs(ARGV) do
  local now, err = enlist(KEYS[1], room)
  if err then return redis.error_reply(err) end
  replaced = math.max(replaced, now)
end
return replaced
