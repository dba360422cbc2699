-- ARGV: prefix, format, token, milliseconds. Takes the turn, and begins a generation, which is garbage until a record
-- names it. What is garbage at this moment was left by writers that are gone.
if redis.call('EXISTS', WRITER) == 1 then return OTHERS_TURN end
if newer_format() then return NEWER end
redis.call('SET', WRITER, ARGV[3], 'PX', ARGV[4])
for _, generation in ipairs(redis.call('SMEMBERS', GARBAGE)) do
  forget(generation)
  redis.call('SREM', GARBAGE, generation)
end
local generation = redis.call('INCR', prefix .. ':generation')
redis.call('SADD', GARBAGE, generation)
return generation
