-- ARGV: prefix, format, digest, note, 'anyway' or 'after', the note that has to be there, then keys and states in turn. A
-- write of one step; 0 where another note is there.
local no = refused_at_once()
if no then return no end
local found = look(ARGV[3])
if ARGV[5] == 'after' and found[1] ~= ARGV[6] then return 0 end
if not is_whole(found) then return GONE end
local base, overlay, new = found[2], found[3], 0
if not base then base = redis.call('INCR', prefix .. ':generation') end
for i = 7, #ARGV, 2 do
  -- An overlay whose merging was cut short takes what is new, as readers look there first.
  local first = keep(overlay or base, ARGV[i], ARGV[i + 1])
  if overlay then first = first * (1 - redis.call('HEXISTS', states(base), ARGV[i])) end
  new = new + first
end
redis.call('HSET', record(ARGV[3]), 'base', base, 'note', ARGV[4])
redis.call('HINCRBY', record(ARGV[3]), 'keys', new)
redis.call('SADD', DEFINITIONS, ARGV[3])
return 1
