-- ARGV: a new token. Returns the token that is set, which may be another's: it proves as much, that nothing was lost since.
look()
redis.call('SET', KEYS[4], ARGV[1], 'NX')
return redis.call('GET', KEYS[4])
