-- ARGV: prefix, digest, base, keys. The state of each; false when the definition is no longer on that base.
local found = look(ARGV[2])
if found[2] ~= ARGV[3] then return false end
local answer = read_states(found, 4, #ARGV, whole)
for place = 1, #ARGV - 3 do
  if not (answer and answer[place]) then return redis.error_reply(LOST .. ' ' .. ARGV[2]) end
end
return answer
