-- ARGV: prefix, format, token, milliseconds, digest, cursor, how many. Copies some of an overlay into its base, which
-- readers do not notice: they look into the overlay first. The next cursor; 0 when the overlay is gone.
local no = refused(ARGV[3])
if no then return no end
local found = look(ARGV[5])
if not found[3] then return '0' end
if not is_whole(found) then return GONE end
local page = redis.call('HSCAN', states(found[3]), ARGV[6], 'COUNT', ARGV[7])
for i = 1, #page[2], 2 do
  local key, kept = page[2][i], page[2][i + 1]
  if is_head(kept) then
    local tail = redis.call('HGET', tails(found[3]), key)
    if not tail then return GONE end
    keep_head(found[2], key, kept, tail)
  else
    keep(found[2], key, kept)
  end
end
if page[1] == '0' then
  redis.call('HDEL', record(ARGV[5]), 'overlay')
  forget(found[3])
end
stay(ARGV[4])
return page[1]
