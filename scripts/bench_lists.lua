-- wrk: the requests of a file, lines of `header<TAB>value<TAB>path`, in random order; tells what they took.
local requests = {}
function init()
  math.randomseed(42)
  for line in io.lines(os.getenv("BENCH_REQUESTS")) do
    local header, value, path = line:match("([^\t]+)\t([^\t]+)\t([^\t]+)")
    local headers = { [header] = value, ["Host"] = wrk.headers["Host"] }
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end
function request()
  return requests[math.random(#requests)]
end
function done(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout
  print(string.format("RESULT %d %d %.2f %.2f %.2f", summary.requests, failed,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
