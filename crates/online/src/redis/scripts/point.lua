-- ARGV: prefix, format, token, milliseconds, digest, generation, keys, note, 'over' or 'instead'. Lets the definition have the
-- generation: over what it has, or instead of it.
local no = refused(ARGV[3])
if no then return no end
local found = look(ARGV[5])
if ARGV[9] == 'over' and found[1] and found[4] ~= '0' then
  if not is_whole(found) then return GONE end
  redis.call('HSET', record(ARGV[5]), 'overlay', ARGV[6], 'note', ARGV[8])
  redis.call('HINCRBY', record(ARGV[5]), 'keys', ARGV[7])
else
  redis.call('HSET', record(ARGV[5]), 'base', ARGV[6], 'note', ARGV[8], 'keys', ARGV[7])
  redis.call('HDEL', record(ARGV[5]), 'overlay')
  forget(found[2], found[3])
  if ARGV[9] == 'instead' then forget_filling(ARGV[5]) end
end
redis.call('SADD', DEFINITIONS, ARGV[5])
redis.call('SREM', GARBAGE, ARGV[6])
stay(ARGV[4])
return 1
