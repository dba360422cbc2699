-- ARGV: prefix, format, digest. A write of one step.
local no = refused_at_once()
if no then return no end
local found = look(ARGV[3])
redis.call('DEL', record(ARGV[3]))
redis.call('SREM', DEFINITIONS, ARGV[3])
forget(found[2], found[3])
forget_filling(ARGV[3])
return 1
