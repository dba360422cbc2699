-- ARGV: prefix, format, token, milliseconds, digest, note. Lets the definition have what was filled, instead of what it has.
local no = refused(ARGV[3])
if no then return no end
local filled, found = look_filling(ARGV[5]), look(ARGV[5])
if not filled[1] then return GONE end
redis.call('HSET', record(ARGV[5]), 'base', filled[2], 'note', ARGV[6], 'keys', filled[3])
redis.call('HDEL', record(ARGV[5]), 'overlay')
redis.call('SADD', DEFINITIONS, ARGV[5])
redis.call('DEL', filling(ARGV[5]))
forget(found[2], found[3])
stay(ARGV[4])
return 1
