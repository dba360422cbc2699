-- ARGV: prefix, format, token, milliseconds, generation, base or '', then keys and states in turn. How many keys are
-- new to generation and base.
local no = refused(ARGV[3])
if no then return no end
local new = 0
if ARGV[6] == '' then
  new = keep_all(ARGV[5], 7)
else
  local base = states(ARGV[6])
  for i = 7, #ARGV, 2 do
    if keep(ARGV[5], ARGV[i], ARGV[i + 1]) == 1 then
      new = new + 1 - redis.call('HEXISTS', base, ARGV[i])
    end
  end
end
stay(ARGV[4])
return new
