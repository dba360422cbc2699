-- ARGV: prefix, then digests and keys in turn. For each the digest's note and the key's state, false where there is none.
local answer = {}
for i = 2, #ARGV, 2 do
  local found = look(ARGV[i])
  local bytes = false
  if found[1] then
    bytes = state(found, ARGV[i + 1])
    if bytes == nil then return redis.error_reply(LOST .. ' ' .. ARGV[i]) end
  end
  answer[#answer + 1] = found[1]
  answer[#answer + 1] = bytes
end
return answer
