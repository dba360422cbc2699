-- ARGV: prefix, format, token, milliseconds, generation, base or '', then keys and states in turn. How many keys are
-- new to generation and base.
local no = refused(ARGV[3])
if no then return no end
local name = states(ARGV[5])
local new = 0
if ARGV[6] == '' then
  -- As many at once as Lua's stack takes.
  for first = 7, #ARGV, 2000 do
    new = new + redis.call('HSET', name, unpack(ARGV, first, math.min(first + 1999, #ARGV)))
  end
else
  local base = states(ARGV[6])
  for i = 7, #ARGV, 2 do
    if redis.call('HSET', name, ARGV[i], ARGV[i + 1]) == 1 then
      new = new + 1 - redis.call('HEXISTS', base, ARGV[i])
    end
  end
end
stay(ARGV[4])
return new
