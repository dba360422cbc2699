-- ARGV: prefix, digest, base, keys. The state of each; false when the definition is no longer on that base.
local found = look(ARGV[2])
if found[2] ~= ARGV[3] then return false end
local answer = {}
for i = 4, #ARGV do
  local bytes = state(found, ARGV[i])
  if not bytes then return redis.error_reply(LOST .. ' ' .. ARGV[2]) end
  answer[#answer + 1] = bytes
end
return answer
