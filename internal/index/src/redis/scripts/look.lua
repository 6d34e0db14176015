-- Begins every script on a partition. KEYS: watermark, chunks, sessions, token.
--
-- Returns the watermark's fields, or false where the index of this partition is lost. A server that evicts, or a person
-- that deletes, can take away single keys: then the counts differ, and the rest goes too, the token included, so that
-- no rebuild that began before is taken.
local function drop()
  redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
  return false
end

local function look()
  local mark = redis.call('HMGET', KEYS[1], 'seq', 'next', 'longest', 'chunks', 'sessions', 'gaps')
  if not mark[1] then return false end
  if tonumber(mark[4]) ~= redis.call('ZCARD', KEYS[2]) or tonumber(mark[5]) ~= redis.call('HLEN', KEYS[3]) then
    return drop()
  end
  return mark
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
