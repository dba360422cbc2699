-- ARGV: prefix, format, token, generation. Gives the turn back, and what was filled and never named.
if redis.call('GET', WRITER) ~= ARGV[3] then return NOT_ITS_TURN end
if redis.call('SREM', GARBAGE, ARGV[4]) == 1 then forget(ARGV[4]) end
redis.call('DEL', WRITER)
return 1
