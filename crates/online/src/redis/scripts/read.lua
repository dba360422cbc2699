-- ARGV: prefix, then runs of a digest, how many keys, and the keys. Of each run the digest's note and the keys' states, false where
-- there is none.
local answer, place = {}, 2
while place < #ARGV do
  local found, last = look(ARGV[place]), place + 1 + tonumber(ARGV[place + 1])
  local bytes = found[1] and read_states(found, place + 2, last)
  if bytes == nil then return redis.error_reply(LOST .. ' ' .. ARGV[place]) end
  answer[#answer + 1] = found[1]
  for key = 1, last - place - 1 do
    answer[#answer + 1] = bytes and bytes[key]
  end
  place = last + 1
end
return answer
