-- wrk posts the bodies of a file in a scattered order: wrk -s post.lua URL -- BODIES [ALSO]
-- ALSO goes into each body, before its closing brace.
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

function done(summary, latency, requests)
  local errors = summary.errors
  local wrong = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('JSON {"requests": %d, "seconds": %.6f, "wrong": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration / 1e6, wrong, latency:percentile(50), latency:percentile(99)))
end
