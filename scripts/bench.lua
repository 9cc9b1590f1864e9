-- wrk: internal transfers between random users, answered when they are durable and settled.
local users = {}
for line in io.lines(os.getenv("BENCH_USERS")) do
  local id, token = line:match("([^\t]+)\t([^\t]+)")
  users[#users + 1] = { id = id, token = token }
end
local asset = os.getenv("BENCH_ASSET") or "USDT"
local threads = 0
local failed = 0
function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end
function init()
  math.randomseed(os.time() * 31 + seed)
end
function request()
  local sender = math.random(#users)
  local recipient = math.random(#users - 1)
  if recipient >= sender then recipient = recipient + 1 end
  local headers = {
    ["Authorization"] = "Bearer " .. users[sender].token,
    ["Content-Type"] = "application/json",
    ["Prefer"] = "wait",
  }
  local body = string.format('{"currency_code":"%s","amount":"0.%06d","recipient":"%s"}',
    asset, math.random(1, 999999), users[recipient].id)
  return wrk.format("POST", "/internal-transfer", headers, body)
end
function response(status, _, body)
  if status ~= 200 or not body:find('"status":"success"', 1, true) then
    failed = failed + 1
    if failed <= 3 then print(status, body) end
  end
end
