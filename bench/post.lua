-- wrk posts the bodies of a file in a scattered order: wrk -s post.lua URL -- BODIES [ALSO]
-- ALSO goes into each body, before its closing brace.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "told.lua")

local bodies = {}
local place = 0
local headers = { ["content-type"] = "application/json" }

function init(args)
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = line:sub(1, -2) .. (args[2] or "") .. "}"
  end
  math.randomseed(7)
  place = math.random(#bodies)
end

function request()
  place = (place + 7919) % #bodies
  return wrk.format("POST", nil, headers, bodies[place + 1])
end
