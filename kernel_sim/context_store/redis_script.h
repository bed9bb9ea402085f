// What runs inside Redis: each operation that looks and then writes is one script, which no other
// client can come between. An entry is one hash.
//
// What a newcomer gets wrong: the script sees up to two keys, since an entry may still stand under
// the index of the previous node key; it takes the one that exists.
//
// Fields: v, e: the value and the epoch it was sealed with. x, i: when it ends at the latest, and
// how long after its last use (ms). r: the epoch of the counts. n, h, s: the newest nonce, the
// highest count, and which of it and the 64 below were used, one character each. p, q, u: the same
// of the nonce before, which is good until b. An entry with x alone was removed: its name is taken
// until it expires.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ktlsim::context_store {

// The codes that the script returns first in an array.
enum class ScriptCode : std::uint8_t {
  kOk,
  kNotFound,
  kExists,
  kStale,
  kOutOfSequence,
  kWrongType,
};

// Arguments: verb ("get", "use", "remove", "put"), epoch, nonce ("" none, else 16 hexadecimal
// digits, so that later ones compare greater), count, window; and for "put" mode, value, the
// value's epoch, lifetime, idle time, and how long the previous nonce is good, in milliseconds.
// Needs Redis 5 or later, which replicates what a script did and not the script.
inline constexpr std::string_view kStoreScript = R"lua(
local key = KEYS[1]
local there = redis.call('EXISTS', key) == 1
if not there and KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then
  key = KEYS[2]
  there = true
end
local put = ARGV[1] == 'put'
local creates = put and (ARGV[6] == 'create' or ARGV[6] == 'first')
if there then
  if creates then return {2} end
  if redis.call('HEXISTS', key, 'v') == 0 and redis.call('HEXISTS', key, 'x') == 1 then
    return {1}
  end
elseif not put or ARGV[6] == 'replace' then
  return {1}
end
if ARGV[1] == 'remove' then
  redis.call('HDEL', key, 'v', 'e', 'i', 'r', 'n', 'h', 's', 'p', 'q', 'u', 'b')
  if redis.call('HEXISTS', key, 'x') == 0 then redis.call('DEL', key) end
  return {0}
end
if ARGV[6] == 'first' then
  local memory = redis.call('INFO', 'memory')
  if not string.find(memory, 'maxmemory_policy:noeviction', 1, true) and
     not string.find(memory, 'maxmemory:0\r', 1, true) then
    return {3}
  end
end
if ARGV[1] == 'get' then
  local found = redis.call('HMGET', key, 'v', 'e', 'r')
  if not found[1] or not found[2] then return {5} end
  return {0, found[1], found[2], found[3] or ''}
end
local epoch, nonce = ARGV[2], ARGV[3]
local count, window = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local old = there and redis.call('HMGET', key, 'r', 'n', 'h', 's', 'p', 'b', 'x', 'i', 'q', 'u') or {}
local function advance(highest, seen)
  if count < 1 or (window == 0 and count ~= highest + 1) then return nil end
  if count > highest then
    local step = count - highest
    if step > 64 then return count, '1' end
    return count, string.sub('1' .. string.rep('0', step - 1) .. seen, 1, 65)
  end
  local back = highest - count
  if back > window or back > 64 then return nil end
  if string.sub(seen, back + 1, back + 1) == '1' then return nil end
  seen = seen .. string.rep('0', back - #seen)
  return highest, string.sub(seen, 1, back) .. '1' .. string.sub(seen, back + 2)
end
local written = {}
if nonce ~= '' then
  local known = old[1] == epoch
  if not known and not put then return {3} end
  local newest = known and old[2] or ''
  if nonce == newest then
    local highest, seen = advance(tonumber(old[3]), old[4])
    if not highest then return {4} end
    written = {'h', text(highest), 's', seen}
  elseif known and nonce == old[5] and now < tonumber(old[6]) then
    local highest, seen = advance(tonumber(old[9]), old[10])
    if not highest then return {4} end
    written = {'q', text(highest), 'u', seen}
  elseif put and nonce > newest then
    local highest, seen = advance(0, '')
    if not highest then return {4} end
    local previous = newest ~= '' and {newest, old[3], old[4]} or {'', '0', ''}
    written = {'r', epoch, 'n', nonce, 'h', text(highest), 's', seen,
               'p', previous[1], 'q', previous[2], 'u', previous[3], 'b', text(now + ARGV[11])}
  else
    return {3}
  end
end
local latest, idle
if put then
  latest, idle = now + ARGV[9], tonumber(ARGV[10])
  for _, more in ipairs({'v', ARGV[7], 'e', ARGV[8], 'x', text(latest), 'i', text(idle)}) do
    written[#written + 1] = more
  end
else
  latest, idle = tonumber(old[7]), tonumber(old[8])
end
redis.call('HSET', key, unpack(written))
if idle > 0 and now + idle < latest then latest = now + idle end
if put or idle > 0 then redis.call('PEXPIREAT', key, text(latest)) end
return {0}
)lua";

// The name of the script for EVALSHA: SHA-1 in hexadecimal. Empty: OpenSSL refuses.
std::string StoreScriptSha();

}  // namespace ktlsim::context_store
