-- ARGV: prefix, then digests and keys in turn. For each the digest's note and the key's state, false where there is none; in place
-- of a note that is the one before it, true.
local answer, found = {}, nil
for i = 2, #ARGV, 2 do
  local is_same = i > 2 and ARGV[i] == ARGV[i - 2]
  if not is_same then found = look(ARGV[i]) end
  local bytes = false
  if found[1] then
    bytes = state(found, ARGV[i + 1])
    if bytes == nil then return redis.error_reply(LOST .. ' ' .. ARGV[i]) end
  end
  answer[#answer + 1] = is_same or found[1]
  answer[#answer + 1] = bytes
end
return answer
