-- Puts rooms on the index. It asks for no claim: an entry too many is for the cleanup.
--
-- KEYS    1 index
-- ARGV    rooms
-- returns 1 if the index was of another type and has been replaced, otherwise 0; or the error of the first room that could not be put there

local replaced = 0
for _, room in ipairs(ARGV) do
  local now, err = enlist(KEYS[1], room)
  if err then return redis.error_reply(err) end
  replaced = math.max(replaced, now)
end
return replaced
