-- wrk logs a hundred metrics a request, each point a new one: wrk -s log.lua URL -- RUN...
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

function done(summary, latency, requests)
  local errors = summary.errors
  local wrong = errors.status + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('JSON {"requests": %d, "seconds": %.6f, "wrong": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration / 1e6, wrong, latency:percentile(50), latency:percentile(99)))
end
