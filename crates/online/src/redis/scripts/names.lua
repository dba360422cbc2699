-- Before every script. ARGV[1] is what every name of this store begins with.
local prefix = ARGV[1]
local WRITER, GARBAGE, DEFINITIONS = prefix .. ':writer', prefix .. ':garbage', prefix .. ':definitions'
local LOST = 'KARATLOST'

local function record(digest)
  return prefix .. ':definition:' .. digest
end

local function states(generation)
  return prefix .. ':states:' .. generation
end

-- What is filled of a definition in parts: hash of note, base, keys.
local function filling(digest)
  return prefix .. ':filling:' .. digest
end

-- Note, base and keys of it; a first field that is false: nothing is, or what was has been lost.
local function look_filling(digest)
  local found = redis.call('HMGET', filling(digest), 'note', 'base', 'keys')
  if found[1] and found[3] ~= '0' and redis.call('EXISTS', states(found[2])) == 0 then return {false, false, false} end
  return found
end

-- What a definition consists of: note, base, overlay (or false), keys. A first field that is false: never written.
local function look(digest)
  return redis.call('HMGET', record(digest), 'note', 'base', 'overlay', 'keys')
end

-- The most keys of one command: Lua hands over some 8,000 arguments.
local KEYS_AT_ONCE = 1000

-- The states of the keys ARGV[first] to ARGV[last], each false where the key was never written. A generation that has gone
-- while the record counts keys in it is not the same: then nil.
local function read_states(found, first, last)
  local base, overlay = states(found[2]), found[3] and states(found[3])
  local answer, is_over_missed, is_missed = {}, false, false
  for from = first, last, KEYS_AT_ONCE do
    local to = math.min(from + KEYS_AT_ONCE - 1, last)
    local under = redis.call('HMGET', base, unpack(ARGV, from, to))
    local over = overlay and redis.call('HMGET', overlay, unpack(ARGV, from, to))
    for place = 1, to - from + 1 do
      local bytes = under[place]
      if over and over[place] then bytes = over[place] elseif over then is_over_missed = true end
      if not bytes then is_missed = true end
      answer[#answer + 1] = bytes
    end
  end
  if is_over_missed and redis.call('EXISTS', overlay) == 0 then return nil end
  if is_missed and found[4] ~= '0' and redis.call('EXISTS', base) == 0 then return nil end
  return answer
end

-- Whether all that the record names is there.
local function is_whole(found)
  if not found[1] or found[4] == '0' then return true end
  if redis.call('EXISTS', states(found[2])) == 0 then return false end
  return not found[3] or redis.call('EXISTS', states(found[3])) == 1
end
