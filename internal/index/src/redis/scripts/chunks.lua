-- ARGV: the place that all of a tenant begin with; first and last minute of the range, both included, shifted; whether
-- only some services are asked for, 1 or 0; the most members to answer; then the places that these begin with.
--
-- Returns {seq, next, gaps, entry with its place, …} or {}; one member more than the most when there are more.
local mark = look()
if not mark then return {} end
local found = {mark[1], mark[2], mark[6] or ''}

local tenant = ARGV[1]
-- A chunk of a range may stand in a window that began before it, by the longest window at most.
local from = string.format('%08x', math.max(0, tonumber(ARGV[2]) - tonumber(mark[3])))
local to = string.format('%08x', tonumber(ARGV[3]))

-- Whether there is room for more.
local past_all = tonumber(ARGV[5]) + 1 + #found
local function scan(service)
  local first, last = '[' .. service .. from, '(' .. service .. to .. '\255'
  for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], first, last, 'LIMIT', 0, past_all - #found)) do
    found[#found + 1] = member
  end
  return #found < past_all
end

if ARGV[4] == '1' then
  for at = 6, #ARGV do
    if not scan(ARGV[at]) then return found end
  end
  return found
end

-- From one service to the next: a step each, however many chunks lie between.
local first, past = '[' .. tenant, '(' .. string.sub(tenant, 1, -2) .. '\2'
while true do
  local member = redis.call('ZRANGEBYLEX', KEYS[2], first, past, 'LIMIT', 0, 1)[1]
  if not member then return found end
  local stop = string.find(member, '\1', #tenant + 1, true)
  if not stop then return redis.error_reply('CORRUPT a place names no service') end
  if not scan(string.sub(member, 1, stop)) then return found end
  first = '[' .. string.sub(member, 1, stop - 1) .. '\2'
end
