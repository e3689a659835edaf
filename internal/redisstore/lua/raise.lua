-- Raises the generation, or a generation's highest epoch; never lowers it.
--
-- KEYS    1 generation, or epoch
-- ARGV    1 the number, a decimal
-- returns the number that is stored afterwards

local now = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1])
if number(now) and compare(now, ARGV[1]) >= 0 then return now end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
