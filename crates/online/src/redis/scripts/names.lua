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

-- The state of a key, or false. A generation that has gone while the record counts keys in it is not the same as a
-- key that was never written: then nil.
local function state(found, key)
  if found[3] then
    local bytes = redis.call('HGET', states(found[3]), key)
    if bytes then return bytes end
    if redis.call('EXISTS', states(found[3])) == 0 then return nil end
  end
  local bytes = redis.call('HGET', states(found[2]), key)
  if bytes or found[4] == '0' or redis.call('EXISTS', states(found[2])) == 1 then return bytes end
  return nil
end

-- Whether all that the record names is there.
local function is_whole(found)
  if not found[1] or found[4] == '0' then return true end
  if redis.call('EXISTS', states(found[2])) == 0 then return false end
  return not found[3] or redis.call('EXISTS', states(found[3])) == 1
end
