-- ARGV: predecessor's seq, seq, next, longest window among the adds, number of removes, of adds, of changed sessions, of
-- dropped sessions, all gaps there are with this one ('' without a new one); then the places removed; then place and entry of each add; then name and state of each changed session;
-- then the names of dropped ones.
--
-- Returns {'applied'}; {'lost'} without a watermark; {'refused', seq, next} when that is not the predecessor; {'lacks', place}
-- when a chunk to remove is not there: then what there was is dropped.
local mark = look()
if not mark then return {'lost'} end
if mark[1] ~= ARGV[1] then return {'refused', mark[1], mark[2]} end

local removes, adds, changed, dropped = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local at = 10

-- All looks come before the first write: nothing is ever half done.
for n = 0, removes - 1 do
  local place = ARGV[at + n]
  if redis.call('ZLEXCOUNT', KEYS[2], '[' .. place .. '\1', '(' .. place .. '\2') ~= 1 then
    drop()
    return {'lacks', place}
  end
end

-- What becomes of the tenants' sums. They follow from what is there, not from what the entry says was there. Whatever of it
-- cannot be read leaves the sums unknown, which is no error: they are added up later.
local has_sums, sums = is_summed(mark), {}

-- `entry` is JSON that begins at `first`: within a text a quote has a backslash before it, so this is no text.
local function count(place, entry, first, sign)
  local length = tonumber(string.match(entry, '"length":(%d+)', first))
  local tenant = string.match(place, '^([^\1]*)\1')
  if not length or not tenant then
    has_sums = false
    return
  end
  sums[tenant] = (sums[tenant] or 0) + sign * length
end

local function remove(place)
  local first, past = '[' .. place .. '\1', '(' .. place .. '\2'
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], first, past)) do count(place, member, #place + 2, -1) end
  redis.call('ZREMRANGEBYLEX', KEYS[2], first, past)
end

-- A server without memory refuses a write that needs some only as a script's first: so let this be the first.
if adds + changed > 0 then redis.call('HSET', KEYS[1], 'seq', mark[1]) end

for _ = 1, removes do
  remove(ARGV[at])
  at = at + 1
end
for _ = 1, adds do
  -- A place has one entry, whatever stood there.
  remove(ARGV[at])
  redis.call('ZADD', KEYS[2], 0, ARGV[at] .. '\1' .. ARGV[at + 1])
  count(ARGV[at], ARGV[at + 1], 1, 1)
  at = at + 2
end
for _ = 1, changed do
  redis.call('HSET', KEYS[3], ARGV[at], ARGV[at + 1])
  at = at + 2
end
for _ = 1, dropped do
  redis.call('HDEL', KEYS[3], ARGV[at])
  at = at + 1
end

if has_sums then
  for tenant, bytes in pairs(sums) do
    local sum = redis.pcall('HINCRBY', KEYS[5], tenant, string.format('%.0f', bytes))
    if type(sum) ~= 'number' or sum < 0 then
      has_sums = false
    elseif sum == 0 then
      redis.call('HDEL', KEYS[5], tenant)
    end
  end
end
if has_sums then redis.call('HSET', KEYS[1], 'summed', ARGV[2], 'tenants', redis.call('HLEN', KEYS[5])) end

local longest = math.max(tonumber(mark[3]), tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'next', ARGV[3], 'longest', longest,
  'chunks', redis.call('ZCARD', KEYS[2]), 'sessions', redis.call('HLEN', KEYS[3]))
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'gaps', ARGV[9]) end
return {'applied'}
