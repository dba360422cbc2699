-- ARGV: prefix, digest, base, generation, cursor, how many. The next cursor and some keys of a generation, once or more often
-- each; false when the definition is no longer on that base.
local found = look(ARGV[2])
if found[2] ~= ARGV[3] then return false end
if not is_whole(found) then return redis.error_reply(LOST .. ' ' .. ARGV[2]) end
local page = redis.call('HSCAN', states(ARGV[4]), ARGV[5], 'COUNT', ARGV[6])
local answer = {page[1]}
for i = 1, #page[2], 2 do answer[#answer + 1] = page[2][i] end
return answer
