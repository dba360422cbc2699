-- wrk logs a hundred metrics a request, each point a new one: wrk -s log.lua URL -- RUN...
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "../told.lua")

local runs = {}
local count = 0
local headers = { ["content-type"] = "application/json" }

function init(args)
  runs = args
  -- So that two loads on one run log other points.
  count = os.time() % 100000 * 100000
end

function request()
  count = count + 1
  local points = {}
  for key = 1, 100 do
    points[key] = string.format('{"key": "m%d", "value": %d.5, "timestamp": %d, "step": %d}', key, count % 1000, count, count)
  end
  local body = '{"run_id": "' .. runs[count % #runs + 1] .. '", "metrics": [' .. table.concat(points, ",") .. "]}"
  return wrk.format("POST", nil, headers, body)
end
