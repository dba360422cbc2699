-- ARGV: prefix, 'head' or 'whole', then runs of a digest, how many keys, and the keys. Of each run the digest's note and the keys'
-- states, or of those with a head no more than that, false where there is none.
local part = ARGV[2] == 'head' and head or whole
local answer, place = {}, 3
while place < #ARGV do
  local found, last = look(ARGV[place]), place + 1 + tonumber(ARGV[place + 1])
  local bytes = found[1] and read_states(found, place + 2, last, part)
  if bytes == nil then return redis.error_reply(LOST .. ' ' .. ARGV[place]) end
  answer[#answer + 1] = found[1]
  for key = 1, last - place - 1 do
    answer[#answer + 1] = bytes and bytes[key]
  end
  place = last + 1
end
return answer
