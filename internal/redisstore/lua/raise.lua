-- Raises the generation; never lowers it.
--
-- KEYS    1 generation
-- ARGV    1 the generation, a decimal
-- returns the generation that now stands

local now = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1])
if number(now) and compare(now, ARGV[1]) >= 0 then return now end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
