-- Returns {seq, next, session, state, …} or {}.
local mark = look()
if not mark then return {} end
local found = redis.call('HGETALL', KEYS[3])
table.insert(found, 1, mark[2])
table.insert(found, 1, mark[1])
return found
