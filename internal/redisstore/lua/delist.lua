-- Removes a room that has no public keys from the index, on behalf of its owner.
--
-- KEYS    1 fence, 2 participants, 3 states, 4 index
-- ARGV    1-3 the claim: generation, epoch, incarnation; 4-5 the leader's token, 0 and 0 for none; 6 room
-- returns {1} stale owner, {2} split, {3} conflict: not claimed, or it has public keys, {4} stale leader, or
--         {0, Redis' time in seconds}

local why = refusal(stored(KEYS[1]), ARGV[1], ARGV[2], ARGV[3], nil, ARGV[4], ARGV[5])
if why ~= 0 then return {why} end
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return {CONFLICT} end
delist(KEYS[4], ARGV[6])
return {0, redis.call('TIME')[1]}
