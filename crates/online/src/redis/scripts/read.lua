-- ARGV: prefix, key, digests. For each digest its note and the key's state, false where there is none.
local answer = {}
for i = 3, #ARGV do
  local found = look(ARGV[i])
  local bytes = false
  if found[1] then
    bytes = state(found, ARGV[2])
    if bytes == nil then return redis.error_reply(LOST .. ' ' .. ARGV[i]) end
  end
  answer[#answer + 1] = found[1]
  answer[#answer + 1] = bytes
end
return answer
