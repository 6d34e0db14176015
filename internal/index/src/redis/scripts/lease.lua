-- KEYS: the lease, its last generation. ARGV: holder, value, time to live in ms, 1 to take it from whoever has it.
--
-- Returns {holder, value, generation} as it is now.
local there = redis.call('HMGET', KEYS[1], 'holder', 'value', 'generation')
if there[1] and there[1] ~= ARGV[1] and ARGV[4] ~= '1' then return there end
local generation = there[3]
if there[1] ~= ARGV[1] then
  -- Grows with every new holder; the clock makes it grow also when all was lost.
  local now = redis.call('TIME')
  local last = tonumber(redis.call('GET', KEYS[2]) or '0')
  generation = string.format('%.0f', math.max(last + 1, tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)))
  redis.call('SET', KEYS[2], generation)
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'value', ARGV[2], 'generation', generation)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {ARGV[1], ARGV[2], generation}
