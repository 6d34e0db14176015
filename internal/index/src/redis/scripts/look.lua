-- Begins every script on a partition. KEYS: watermark, chunks, sessions, token, sums.
--
-- Returns the watermark's fields, or false where the index of this partition is lost. A server that evicts, or a person
-- that deletes, can take away single keys: then the counts differ, and the rest goes too, the token included, so that
-- no rebuild that began before is taken.
local function drop()
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
  return false
end

local function look()
  local mark = redis.call('HMGET', KEYS[1], 'seq', 'next', 'longest', 'chunks', 'sessions', 'gaps', 'summed', 'tenants')
  if not mark[1] then return false end
  if tonumber(mark[4]) ~= redis.call('ZCARD', KEYS[2]) or tonumber(mark[5]) ~= redis.call('HLEN', KEYS[3]) then
    return drop()
  end
  return mark
end

-- Whether the sums are those of the watermark. A program that keeps none moves the watermark without them, and a single key
-- can be taken away: then they are added up anew before anybody is told.
local function is_summed(mark)
  return mark[7] == mark[1] and tonumber(mark[8]) == redis.call('HLEN', KEYS[5])
end

-- Numbers of 64 bits stay decimal text: Lua's are doubles. Whether a is less than b.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  for at = 1, #a do
    local one, other = string.byte(a, at), string.byte(b, at)
    if one ~= other then return one < other end
  end
  return false
end
