-- ARGV: prefix, format, token, milliseconds, digest, note. Gives what is filled its next note.
local no = refused(ARGV[3])
if no then return no end
if not look_filling(ARGV[5])[1] then return GONE end
redis.call('HSET', filling(ARGV[5]), 'note', ARGV[6])
stay(ARGV[4])
return 1
