-- KEYS 6: sums as they were put aside. ARGV: seq and next of the watermark at which they are right, how many there must be.
--
-- Returns 1 when they are visible now; 0 when the watermark is another one, or others were faster.
local mark = look()
if not mark or mark[1] ~= ARGV[1] or mark[2] ~= ARGV[2] or is_summed(mark) then return 0 end
local sums = redis.call('HLEN', KEYS[6])
-- What was put aside has a time to live, and may be gone.
if sums ~= tonumber(ARGV[3]) then return 0 end

-- As in apply.lua: the first write is one that a server without memory refuses.
redis.call('HSET', KEYS[1], 'summed', '')
redis.call('UNLINK', KEYS[5])
if sums > 0 then
  redis.call('PERSIST', KEYS[6])
  redis.call('RENAME', KEYS[6], KEYS[5])
end
redis.call('HSET', KEYS[1], 'summed', mark[1], 'tenants', sums)
return 1
