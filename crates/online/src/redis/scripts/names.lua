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

-- What stands behind the heads of a generation's states: a place of its own, so that who answers does not wait for it.
local function tails(generation)
  return prefix .. ':tails:' .. generation
end

-- Where the head of a state ends; nil of one without.
local function head_end(state)
  if string.sub(state, 1, 4) ~= '\2KSH' or #state < 8 then return nil end
  local last = struct.unpack('<I4', state, 5)
  return last >= 8 and last <= #state and last or nil
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

-- Whether this is a head alone, and what stands behind it is among the tails.
local function is_head(kept)
  return head_end(kept) == #kept
end

-- What is kept of a state, in full: of a head, with what stands behind it, which has to be there.
local function whole(generation, key, kept)
  if not is_head(kept) then return kept end
  local tail = redis.call('HGET', tails(generation), key)
  return tail and kept .. tail
end

-- What answers read of it. Some states are kept with what follows their heads: they were written by Karats from before.
local function head(generation, key, kept)
  local last = head_end(kept)
  if last and last < #kept then return string.sub(kept, 1, last) end
  return kept
end

-- The states of the keys ARGV[first] to ARGV[last], as `part` gives them, each false where the key was never written. A generation
-- that has gone while the record counts keys in it is not the same, nor is a lost tail: then nil.
local function read_states(found, first, last, part)
  local base, overlay = states(found[2]), found[3] and states(found[3])
  local answer, is_over_missed, is_missed = {}, false, false
  for from = first, last, KEYS_AT_ONCE do
    local to = math.min(from + KEYS_AT_ONCE - 1, last)
    local under = redis.call('HMGET', base, unpack(ARGV, from, to))
    local over = overlay and redis.call('HMGET', overlay, unpack(ARGV, from, to))
    for place = 1, to - from + 1 do
      local generation, bytes = found[2], under[place]
      if over and over[place] then generation, bytes = found[3], over[place] elseif over then is_over_missed = true end
      if bytes then
        bytes = part(generation, ARGV[from + place - 1], bytes)
        if not bytes then return nil end
      else
        is_missed = true
      end
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
