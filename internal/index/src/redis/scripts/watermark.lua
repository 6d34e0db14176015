-- Returns {seq, next, gaps} or {}.
local mark = look()
if not mark then return {} end
return {mark[1], mark[2], mark[6] or ''}
