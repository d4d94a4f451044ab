-- Lua's own functions that C runs in a loop, bounded: what they do is charged like as many instructions.
-- Receives the library's tables, `charge` (a number of instructions), and the host's matcher; changes the tables.
local string, table, charge, host, checked, getmetatable_raw = ...
local utf8 = utf8

local error, getmetatable, ipairs, math_type, rawlen, select, tonumber, tostring, type =
  error, getmetatable, ipairs, math.type, rawlen, select, tonumber, tostring, type
local byte, find, gmatch, gsub, match, rep, sub =
  string.byte, string.find, string.gmatch, string.gsub, string.match, string.rep, string.sub
local concat = table.concat
local math_abs, max, min = math.abs, math.max, math.min

-- Tables ----------------------------------------------------------------------------------------------
local function length(t)
  if type(t) ~= 'table' then
    return 0
  end
  local meta = getmetatable_raw(t)
  if meta and meta.__len ~= nil then
    error('this function takes tables without __len in Angarium', 0)
  end
  return rawlen(t)
end

local function between(first, last)
  first, last = tonumber(first), tonumber(last)
  return first and last and last > first and last / 1 - first / 1 or 0
end

local function bound(name, cost)
  local native = table[name]
  table[name] = function(...)
    charge(cost(...))
    return native(...)
  end
end

bound('unpack', function(t, first, last)
  return between(first or 1, last or type(t) == 'table' and rawlen(t) or 1)
end)
bound('move', function(_, first, last) return between(first, last) end)
bound('concat', function(t, _, first, last) return between(first or 1, last or length(t)) end)
bound('sort', function(t) return 32 * length(t) end)
bound('insert', function(t, ...)
  local n = length(t)
  return select('#', ...) > 1 and n or 1
end)
bound('remove', function(t, position)
  local n = length(t)
  return position and n or 1
end)

-- Texts -----------------------------------------------------------------------------------------------
local OCTETS, OCTETS_READ = 100, 8 -- that are copied, or looked at one by one, while Lua does one instruction
local SHORT = 1000 -- octets that are not worth counting

local function octets(first, ...)
  local n = type(first) == 'string' and #first or 0
  return select('#', ...) == 0 and n or n + octets(...)
end

-- How many octets of a text stand between two positions as Lua counts them, from the end too.
local function span(s, first, last)
  first, last = tonumber(first) or 1, tonumber(last) or -1
  first, last = first < 0 and #s + first + 1 or first, last < 0 and #s + last + 1 or last
  return max(0.0, min(last, #s) - max(first, 1.0) + 1)
end

local function bound_text(library, name, cost)
  local native = library[name]
  library[name] = function(s, ...)
    if type(s) == 'string' and #s > SHORT then
      charge(cost(s, ...))
    end
    return native(s, ...)
  end
end

local function read_whole(s) return #s / OCTETS_READ end

local function read_one(s, first, last) return span(s, first, last or first or 1) / OCTETS_READ end

bound_text(string, 'lower', read_whole)
bound_text(string, 'upper', read_whole)
bound_text(string, 'reverse', read_whole)
bound_text(string, 'byte', read_one)
bound_text(string, 'sub', function(s, first, last) return span(s, first, last) / OCTETS end)
bound_text(utf8, 'codepoint', read_one)
bound_text(utf8, 'len', function(s, first, last) return span(s, first, last) / OCTETS_READ end)

for _, name in ipairs { 'format', 'pack' } do
  local native = string[name]
  string[name] = function(...)
    local n = octets(...)
    if n > SHORT then
      charge(n / OCTETS_READ)
    end
    return native(...)
  end
end

-- It walks over octets that continue a character, which may be all.
local offset = utf8.offset
utf8.offset = function(s, n, from)
  local found = offset(s, n, from)
  if #s > SHORT then
    from = tonumber(from) or tonumber(n) > 0 and 1 or #s
    from = from < 0 and #s + from + 1 or from
    charge(found and math_abs(found - from) / OCTETS_READ or read_whole(s))
  end
  return found
end

string.rep = function(s, n, separator)
  local times = tonumber(n) or 0
  if times > 0 then
    charge(times / 1 * (1 + (#tostring(s) + #tostring(separator or '')) / OCTETS))
  end
  return rep(s, n, separator)
end

-- Patterns --------------------------------------------------------------------------------------------
-- Lua's matcher takes up to 2^(items with ?) * length^(items with * + -, and one more unless anchored) steps.
local STEPS = 1e7
local STEPS_IRREGULAR = 2e8 -- a quarter of a second
local STEPS_UNNOTICED = 1e4
local LONG = 200
local known, count_known = {}, 0

-- Where a set ends that begins at `at`: Lua takes what stands first in it, and what `%` escapes, for no end.
local function after_set(pattern, at)
  at = at + (byte(pattern, at + 1) == 94 and 2 or 1)
  repeat
    at = at + (byte(pattern, at) == 37 and 2 or 1)
  until at > #pattern or byte(pattern, at) == 93
  return at + 1
end

local function after_item(pattern, at)
  local mark = sub(pattern, at, at)
  if mark == '[' then
    return after_set(pattern, at), mark
  elseif mark ~= '%' then
    return at + 1, mark
  end
  mark = sub(pattern, at, at + 1)
  return at + (mark == '%b' and 4 or 2), mark
end

local function counted(pattern)
  local found, at, mark = { loops = 0, choices = 0, is_regular = true }, 1, nil
  while at <= #pattern do
    at, mark = after_item(pattern, at)
    if find(mark, '^[*+-]') or find(mark, '^%%[b%d]') then
      found.loops = found.loops + 1
    elseif mark == '?' then
      found.choices = found.choices + 1
    end
    found.is_regular = found.is_regular and not find(mark, '^%%[bf%d]')
  end
  return found
end

local function shape(pattern)
  if not known[pattern] then
    if count_known > 500 then
      known, count_known = {}, 0
    end
    known[pattern], count_known = counted(pattern), count_known + 1
  end
  return known[pattern]
end

-- Whether Lua's own matcher is to do it.
local function is_quick(s, pattern, is_anchored)
  if #pattern > LONG then
    return false
  end
  local found = shape(pattern)
  local degree = found.loops + (is_anchored and 0 or 1)
  local steps = 2.0 ^ found.choices * (#s + 1.0) ^ degree
  if found.loops + found.choices == 0 then
    steps = (#s + 1.0) * #pattern
  end
  if steps > STEPS_UNNOTICED then
    charge(1) -- what it may do is far more than it does; the clock tells
  end
  return steps <= (found.is_regular and STEPS or STEPS_IRREGULAR)
end

local function texts(s, pattern)
  if type(s) == 'number' then s = tostring(s) end
  if type(pattern) == 'number' then pattern = tostring(pattern) end
  if type(s) ~= 'string' or type(pattern) ~= 'string' then
    return nil -- Lua's own function says what is wrong
  end
  return s, pattern
end

local function anchor(pattern)
  if byte(pattern) == 94 then
    return sub(pattern, 2), true
  end
  return pattern, false
end

-- The start of a search as Lua counts, or nil where there is nothing to search.
local function beginning(s, init)
  init = math_type(init) and init // 1 or tonumber(init) or 1
  if init < 0 then
    init = #s + init + 1
  end
  if init < 1 then
    init = 1
  end
  return init <= #s + 1 and init or nil
end

local TRANSLATED = 10 -- instructions an octet of a pattern

local function charge_host(s, pattern)
  charge(#s / OCTETS_READ + #pattern * TRANSLATED)
end

local function searched(s, pattern, init)
  local start = beginning(s, init)
  if start then
    charge_host(s, pattern)
    local bare, is_anchored = anchor(pattern)
    return checked(host.find_match(s, bare, is_anchored, start))
  end
end

local function captured(s, first, last, ...)
  if first == nil then
    return nil
  end
  if select('#', ...) == 0 then
    return sub(s, first, last)
  end
  return ...
end

-- Lua compares the text at each place where the first octet of what is looked for stands; the host does not.
local function found_plain(s, text, init)
  local start = beginning(s, init)
  if not start then
    return nil
  end
  local first, last
  if (#s + 1.0) * #text <= STEPS then
    first, last = find(s, text, start, true)
  else
    charge(#text / OCTETS_READ)
    first, last = checked(host.find_plain(s, text, start))
  end
  if #s > SHORT then
    charge(((first or #s) - start) / OCTETS)
  end
  return first, last
end

string.find = function(subject, given, init, plain)
  local s, pattern = texts(subject, given)
  if s and (plain or not find(pattern, '[%^$*+?.()%[%%-]')) then
    return found_plain(s, pattern, init)
  elseif not s or is_quick(s, pattern, byte(pattern) == 94) then
    return find(subject, given, init, plain)
  end
  return searched(s, pattern, init)
end

string.match = function(subject, given, init)
  local s, pattern = texts(subject, given)
  if not s or is_quick(s, pattern, byte(pattern) == 94) then
    return match(subject, given, init)
  end
  return captured(s, searched(s, pattern, init))
end

string.gmatch = function(subject, given, init)
  local s, pattern = texts(subject, given)
  if not s or is_quick(s, pattern, false) then
    return gmatch(subject, given, init)
  end
  charge_host(s, pattern)
  local matches = checked(host.begin_matches(s, pattern, false, beginning(s, init) or #s + 2))
  return function()
    return captured(s, checked(host.next_match(matches)))
  end
end

-- What stands in the place of a match; false and nil keep it.
local replacement
function replacement(repl, whole, ...)
  if select('#', ...) == 0 then
    return replacement(repl, whole, whole)
  elseif type(repl) == 'function' then
    return (repl(...))
  elseif type(repl) == 'table' then
    return repl[...]
  end
  local values = { [0] = whole, ... }
  return (gsub(repl, '%%(.)', function(mark)
    if mark == '%' then
      return '%'
    end
    local index = tonumber(mark)
    if index == nil then
      error("invalid use of '%' in replacement string", 0)
    end
    if values[index] == nil then
      error('invalid capture index %' .. index .. ' in replacement string', 0)
    end
    return tostring(values[index])
  end))
end

local function replaced(s, repl, at, parts, first, last, ...)
  local whole = sub(s, first, last)
  local put = replacement(repl, whole, ...)
  if put and type(put) ~= 'string' and type(put) ~= 'number' then
    error('invalid replacement value (a ' .. type(put) .. ')', 0)
  end
  parts[#parts + 1] = sub(s, at, first - 1)
  parts[#parts + 1] = put or whole
  return last + 1
end

string.gsub = function(subject, given, repl, limit)
  local s, pattern = texts(subject, given)
  if not s or is_quick(s, pattern, byte(pattern) == 94) then
    return gsub(subject, given, repl, limit)
  end
  if type(repl) == 'number' then
    repl = tostring(repl)
  elseif type(repl) ~= 'string' and type(repl) ~= 'table' and type(repl) ~= 'function' then
    return gsub('', '', repl)
  end
  charge_host(s, pattern)
  local bare, is_anchored = anchor(pattern)
  local matches = checked(host.begin_matches(s, bare, is_anchored, 1))
  local parts, at, n = {}, 1, 0
  local function take(first, ...)
    if first == nil then
      return false
    end
    at, n = replaced(s, repl, at, parts, first, ...), n + 1
    return true
  end
  while (limit == nil or n < limit) and take(checked(host.next_match(matches))) do end
  parts[#parts + 1] = sub(s, at)
  return concat(parts), n
end
