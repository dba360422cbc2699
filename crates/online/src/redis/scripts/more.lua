-- ARGV: prefix, format, token, milliseconds, digest, then keys and states in turn. Writes them into what is filled.
local no = refused(ARGV[3])
if no then return no end
local found = look_filling(ARGV[5])
if not found[1] then return GONE end
local new = 0
-- As many at once as Lua's stack takes.
for first = 6, #ARGV, 2000 do
  new = new + redis.call('HSET', states(found[2]), unpack(ARGV, first, math.min(first + 1999, #ARGV)))
end
redis.call('HINCRBY', filling(ARGV[5]), 'keys', new)
stay(ARGV[4])
return new
