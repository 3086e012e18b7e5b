-- KEYS[1]: a counter. ARGV: delta; lifetime in seconds, if it is created; what takes a negative
-- delta back but for one. All numbers stay text: those of Lua are too coarse for 64 bits.
local created = redis.pcall('SET', KEYS[1], '0', 'EX', ARGV[2], 'NX')
if created and created.err then return created end
local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(sum) == 'table' then
  if created then redis.call('DEL', KEYS[1]) end
  return sum
end
local text = redis.call('GET', KEYS[1])
if text ~= '-9223372036854775808' then return text end
if created then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] ~= '' then
  redis.call('INCRBY', KEYS[1], ARGV[3])
  redis.call('INCRBY', KEYS[1], '1')
end
return redis.error_reply('ERR increment or decrement would overflow')
