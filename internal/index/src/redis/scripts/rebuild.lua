-- KEYS 5 and 6: chunks and sessions as they were put aside. ARGV: token, seq, next, longest window, how many chunks and
-- sessions there must be, gaps ('' for none); then, for a replacement, seq and next of the watermark that must be there, both
-- empty for none.
--
-- Returns 1 when they are visible now, else 0.
local mark = look()
if redis.call('GET', KEYS[4]) ~= ARGV[1] then return 0 end
if ARGV[8] then
  if (mark and mark[1] or '') ~= ARGV[8] or (mark and mark[2] or '') ~= ARGV[9] then return 0 end
elseif mark and not less(mark[1], ARGV[2]) then
  return 0
end
local chunks, sessions = redis.call('ZCARD', KEYS[5]), redis.call('HLEN', KEYS[6])
-- What was put aside has a time to live, and may be gone.
if chunks ~= tonumber(ARGV[5]) or sessions ~= tonumber(ARGV[6]) then return 0 end

redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if chunks > 0 then
  redis.call('PERSIST', KEYS[5])
  redis.call('RENAME', KEYS[5], KEYS[2])
end
if sessions > 0 then
  redis.call('PERSIST', KEYS[6])
  redis.call('RENAME', KEYS[6], KEYS[3])
end
redis.call('HSET', KEYS[1], 'seq', ARGV[2], 'next', ARGV[3], 'longest', ARGV[4], 'chunks', chunks, 'sessions', sessions)
if ARGV[7] ~= '' then redis.call('HSET', KEYS[1], 'gaps', ARGV[7]) end
return 1
