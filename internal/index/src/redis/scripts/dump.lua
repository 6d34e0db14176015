-- ARGV: the entry after which to go on, empty for the first; how many at most.
--
-- Returns {seq, next, gaps, entry with its place, …} or {}.
local mark = look()
if not mark then return {} end
local first = '-'
if ARGV[1] ~= '' then first = '(' .. ARGV[1] end
local found = redis.call('ZRANGEBYLEX', KEYS[2], first, '+', 'LIMIT', 0, tonumber(ARGV[2]))
table.insert(found, 1, mark[6] or '')
table.insert(found, 1, mark[2])
table.insert(found, 1, mark[1])
return found
