-- KEYS 6, 7 and 8: chunks, sessions and sums as they were put aside. ARGV: token, seq, next, longest window, how many chunks,
-- sessions and sums there must be, gaps ('' for none); then, for a replacement, seq and next of the watermark that must be there, both
-- empty for none.
--
-- Returns 1 when they are visible now, else 0.
local mark = look()
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
if ARGV[9] then
  if (mark and mark[1] or '') ~= ARGV[9] or (mark and mark[2] or '') ~= ARGV[10] then return 0 end
elseif mark and not less(mark[1], ARGV[2]) then
  return 0
end
local chunks, sessions, sums = redis.call('ZCARD', KEYS[6]), redis.call('HLEN', KEYS[7]), redis.call('HLEN', KEYS[8])
-- What was put aside has a time to live, and may be gone.
if chunks ~= tonumber(ARGV[5]) or sessions ~= tonumber(ARGV[6]) or sums ~= tonumber(ARGV[7]) then return 0 end

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
if chunks > 0 then
  redis.call('PERSIST', KEYS[6])
  redis.call('RENAME', KEYS[6], KEYS[2])
end
if sessions > 0 then
  redis.call('PERSIST', KEYS[7])
  redis.call('RENAME', KEYS[7], KEYS[3])
end
if sums > 0 then
  redis.call('PERSIST', KEYS[8])
  redis.call('RENAME', KEYS[8], KEYS[5])
end
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'next', ARGV[3], 'longest', ARGV[4], 'chunks', chunks, 'sessions', sessions,
  'summed', ARGV[2], 'tenants', sums)
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'gaps', ARGV[8]) end
return 1
