-- ARGV: prefix, format, token, milliseconds, digest, then keys and states in turn. Writes them into what is filled.
local no = refused(ARGV[3])
if no then return no end
local found = look_filling(ARGV[5])
if not found[1] then return GONE end
local new = keep_all(found[2], 6)
redis.call('HINCRBY', filling(ARGV[5]), 'keys', new)
stay(ARGV[4])
return new
