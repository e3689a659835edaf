-- Runs commits of several rooms, one after the other. commit.lua is the body of the function commit.
--
-- KEYS    those of each commit
-- ARGV    for each commit, the number of its arguments, then these
-- returns what each commit returns. An error of one is its reply, and the others go on.

local replies, key, at = {}, 0, 1
while at <= #ARGV do
  local keys, args = {}, {}
  for i = 1, COMMIT_KEYS do keys[i] = KEYS[key + i] end
  for i = 1, tonumber(ARGV[at]) do args[i] = ARGV[at + i] end
  local ok, reply = pcall(commit, keys, args)
  if not ok then reply = {err = type(reply) == 'table' and reply.err or tostring(reply)} end
  replies[#replies + 1] = reply
  key, at = key + COMMIT_KEYS, at + #args + 1
end
return replies
