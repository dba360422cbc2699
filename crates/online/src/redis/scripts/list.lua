-- ARGV: prefix. Every definition's digest and number of keys.
local answer = {}
for _, digest in ipairs(redis.call('SMEMBERS', DEFINITIONS)) do
  local found = look(digest)
  if found[1] then
    answer[#answer + 1] = digest
    answer[#answer + 1] = found[4]
  end
end
return answer
