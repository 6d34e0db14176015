-- ARGV: tenants; none for all.
--
-- Returns {seq, next, 1, sum of each} or, for all, {seq, next, 1, tenant, sum, …}; {seq, next, 0} while the sums are not those
-- of the watermark; {} without one.
local mark = look()
if not mark then return {} end
if not is_summed(mark) then return {mark[1], mark[2], '0'} end
local found = {mark[1], mark[2], '1'}
if #ARGV == 0 then
  for _, field in ipairs(redis.call('HGETALL', KEYS[5])) do found[#found + 1] = field end
  return found
end
for at = 1, #ARGV do found[#found + 1] = redis.call('HGET', KEYS[5], ARGV[at]) or '0' end
return found
