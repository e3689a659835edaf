-- Puts rooms on the index. It asks for no claim: an entry too many is for the cleanup.
--
-- KEYS    1 index
-- ARGV    rooms
-- returns 1 if the index was of another type and has been replaced, otherwise 0

local replaced = 0
for _, room in ipairs(ARGV) do
  replaced = math.max(replaced, enlist(KEYS[1], room))
end
return replaced
