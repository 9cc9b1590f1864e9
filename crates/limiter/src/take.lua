-- Takes, peeks at or records units under a key, by the rule of log.rs.
--
-- KEYS[1]  a list: the time of the oldest units, how many they are, the time of the next, …, and
--          last of all the sum of the units. Redis deletes it once everything in it has left.
-- ARGV     what to do (take, peek, record), units, quota, window, slot; times in microseconds
--
-- The clock is Redis' own, so that replicas whose clocks differ count alike.
-- Answers: 1 if the units fit, the quota's rest, microseconds until the oldest units leave, and
-- until the units fit.
local key, verb = KEYS[1], ARGV[1]
local units, quota = tonumber(ARGV[2]), tonumber(ARGV[3])
local window, slot = tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- tostring would round a time to 14 digits.
local function text(number) return string.format('%.0f', number) end

local sum = tonumber(redis.call('LINDEX', key, -1) or 0)
local known = sum
while sum > 0 and redis.call('LINDEX', key, 0) + window <= now do
  redis.call('LPOP', key)
  sum = sum - redis.call('LPOP', key)
end
if sum == 0 then
  redis.call('DEL', key)
elseif sum ~= known then
  redis.call('LSET', key, -1, text(sum))
end

local excess = math.max(sum + units - quota, 0)
local retry_after = 0
if excess > sum then
  retry_after = window
elseif excess > 0 then
  local taken, freed, at = redis.call('LRANGE', key, 0, -2), 0, 1
  while freed < excess do
    freed = freed + taken[at + 1]
    retry_after = taken[at] + window - now
    at = at + 2
  end
end

if units > 0 and (verb == 'record' or verb == 'take' and excess == 0) then
  local at = now - now % slot + slot - 1
  local last = sum > 0 and tonumber(redis.call('LINDEX', key, -3))
  -- Two numbers for each of 601 moments, and the sum.
  local full = redis.call('LLEN', key) >= 2 * 601 + 1
  if not last then
    redis.call('RPUSH', key, text(at), text(units), text(units))
  elseif last >= at or full then
    redis.call('LSET', key, -3, text(math.max(last, at)))
    redis.call('LSET', key, -2, text(redis.call('LINDEX', key, -2) + units))
    redis.call('LSET', key, -1, text(sum + units))
  else
    redis.call('LSET', key, -1, text(at))
    redis.call('RPUSH', key, text(units), text(sum + units))
  end
  sum = sum + units
  redis.call('PEXPIRE', key, text(math.ceil((window + slot) / 1000)))
end

local reset = sum > 0 and redis.call('LINDEX', key, 0) + window - now or 0
return { excess == 0 and 1 or 0, math.max(quota - sum, 0), reset, retry_after }
