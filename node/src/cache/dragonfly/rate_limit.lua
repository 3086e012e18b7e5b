-- KEYS[1]: a pace, fields m (microseconds) and p (parts of one). ARGV: what a call takes of it in
-- microseconds and parts, limit, window. Answers by how many microseconds the call is too early.
-- What is added here is below 2^53, so every Lua has it exactly.
local pace = redis.pcall('HMGET', KEYS[1], 'm', 'p')
if pace.err then return pace end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local limit, last = tonumber(ARGV[3]), now + tonumber(ARGV[4])
local micros, parts = now, 0
local m, p = pace[1] and tonumber(pace[1]), pace[2] and tonumber(pace[2])
if m and m >= last then
  micros = last
elseif m and m >= now then
  micros = m
  if p and p < limit then parts = p end
end
micros, parts = micros + tonumber(ARGV[1]), parts + tonumber(ARGV[2])
if parts >= limit then micros, parts = micros + 1, parts - limit end
local early = micros - last
if parts > 0 then early = early + 1 end
if early > 0 then return string.format('%.0f', early) end
local text = function(number) return string.format('%.0f', number) end
local kept = redis.pcall('HSET', KEYS[1], 'm', text(micros), 'p', text(parts))
if type(kept) == 'table' then return kept end
redis.call('PEXPIRE', KEYS[1], text(math.floor((micros - now) / 1000) + 1))
return '0'
