-- Runs commits of several rooms, one after the other. commit.lua is the body of the function commit.
--
-- KEYS    those of each commit: COMMIT_KEYS, and one more if its public keys (its eighth argument) are 3
-- ARGV    for each commit, the number of its arguments, then these
-- returns what each commit returns. An error of one is its reply, and the others go on.

local replies, k, a = {}, 0, 0
while a < #ARGV do
  local last, keys = a + 1 + tonumber(ARGV[a + 1]), COMMIT_KEYS
  if ARGV[a + 9] == '3' then keys = keys + 1 end
  local ok, reply = pcall(commit, k, a + 1, last)
  if not ok then reply = {err = type(reply) == 'table' and reply.err or tostring(reply)} end
  replies[#replies + 1] = reply
  k, a = k + keys, last
end
return replies
