-- Before every script that writes. ARGV[2] is the format this Karat writes; a script answers below zero for why it
-- did not write.
local NEWER, NOT_ITS_TURN, OTHERS_TURN, GONE = -1, -2, -3, -4

-- Of a store in which no state has a head yet; Karats that know no other can still use it.
local FORMAT_WITHOUT_HEADS = 1

local function newer_format()
  local found = redis.call('GET', prefix .. ':format')
  if found then return tonumber(found) > tonumber(ARGV[2]) end
  redis.call('SET', prefix .. ':format', FORMAT_WITHOUT_HEADS)
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

-- Keeps a head, and what stands behind it apart. 1 where the generation did not have the key.
local is_format_told = false
local function keep_head(generation, key, head, tail)
  redis.call('HSET', tails(generation), key, tail)
  if not is_format_told then redis.call('SET', prefix .. ':format', ARGV[2]) end
  is_format_told = true
  return redis.call('HSET', states(generation), key, head)
end

-- Keeps a state. 1 where the generation did not have the key.
local function keep(generation, key, state)
  local last = head_end(state)
  if last then return keep_head(generation, key, string.sub(state, 1, last), string.sub(state, last + 1)) end
  local new = redis.call('HSET', states(generation), key, state)
  if new == 0 then redis.call('HDEL', tails(generation), key) end
  return new
end

-- Keeps the keys and states ARGV[first] and on. How many of the keys the generation did not have.
local function keep_all(generation, first)
  local new = 0
  -- As many at once as Lua's stack takes.
  for from = first, #ARGV, 2000 do
    local to = math.min(from + 1999, #ARGV)
    local is_simple = redis.call('EXISTS', tails(generation)) == 0
    for place = from + 1, to, 2 do is_simple = is_simple and not head_end(ARGV[place]) end
    if is_simple then
      new = new + redis.call('HSET', states(generation), unpack(ARGV, from, to))
    else
      for place = from, to, 2 do new = new + keep(generation, ARGV[place], ARGV[place + 1]) end
    end
  end
  return new
end

-- Forgets generations. UNLINK takes the name away here and gives the memory back on a thread of the server's own, so
-- that no reader waits for millions of states.
local function forget(...)
  for _, generation in ipairs({...}) do
    if generation then redis.call('UNLINK', states(generation), tails(generation)) end
  end
end

-- Forgets what is filled of a definition.
local function forget_filling(digest)
  forget(redis.call('HGET', filling(digest), 'base'))
  redis.call('DEL', filling(digest))
end
