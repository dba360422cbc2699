-- Before every script that writes. ARGV[2] is the format this Karat writes; a script answers below zero for why it
-- did not write.
local NEWER, NOT_ITS_TURN, OTHERS_TURN, GONE = -1, -2, -3, -4

local function newer_format()
  local found = redis.call('GET', prefix .. ':format')
  if found then return tonumber(found) > tonumber(ARGV[2]) end
  redis.call('SET', prefix .. ':format', ARGV[2])
  return false
end

-- What a writer of many steps asks before each: is it still its turn?
local function refused(token)
  if redis.call('GET', WRITER) ~= token then return NOT_ITS_TURN end
  if newer_format() then return NEWER end
  return nil
end

-- What it ends each with. Not begins: a server without memory refuses a script its first write only, and that has to be
-- one that takes memory.
local function stay(milliseconds)
  redis.call('PEXPIRE', WRITER, milliseconds)
end

-- What a writer of one step asks.
local function refused_at_once()
  if redis.call('EXISTS', WRITER) == 1 then return OTHERS_TURN end
  if newer_format() then return NEWER end
  return nil
end

-- Forgets generations. UNLINK takes the name away here and gives the memory back on a thread of the server's own, so
-- that no reader waits for millions of states.
local function forget(...)
  for _, generation in ipairs({...}) do
    if generation then redis.call('UNLINK', states(generation)) end
  end
end

-- Forgets what is filled of a definition.
local function forget_filling(digest)
  forget(redis.call('HGET', filling(digest), 'base'))
  redis.call('DEL', filling(digest))
end
