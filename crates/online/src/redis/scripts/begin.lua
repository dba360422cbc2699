-- ARGV: prefix, format, token, milliseconds, digest, generation, note. Begins to fill a generation, which is garbage no
-- longer, in place of what was filled.
local no = refused(ARGV[3])
if no then return no end
local old = redis.call('HGET', filling(ARGV[5]), 'base')
redis.call('HSET', filling(ARGV[5]), 'base', ARGV[6], 'keys', 0, 'note', ARGV[7])
forget(old)
redis.call('SREM', GARBAGE, ARGV[6])
stay(ARGV[4])
return 1
