-- Lua's own functions that C runs in a loop, bounded: what they do is charged like as many instructions.
-- Receives the library's tables, `charge` (a number of instructions), and the host's matcher; changes the tables.
local string, table, charge, host, checked, getmetatable_raw = ...

local error, getmetatable, math_type, rawlen, select, tonumber, tostring, type =
  error, getmetatable, math.type, rawlen, select, tonumber, tostring, type
local byte, find, gmatch, gsub, match, rep, sub =
  string.byte, string.find, string.gmatch, string.gsub, string.match, string.rep, string.sub
local concat = table.concat

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
local OCTETS, OCTETS_MATCHED = 100, 8 -- that are copied, or matched by the host, while Lua does one instruction

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
local STEPS_IRREGULAR = 1e9
local LONG = 200
local known, count_known = {}, 0

local function shape(pattern)
  local found = known[pattern]
  if found then
    return found
  end
  local plain = gsub(pattern, '%%.', 'x')
  plain = gsub(plain, '%[%^?%]?[^%]]*%]', 'x')
  found = {
    loops = select(2, gsub(plain, '[*+-]', '')) + select(2, gsub(pattern, '%%[b%d]', '')),
    choices = select(2, gsub(plain, '%?', '')),
    is_regular = not find(pattern, '%%[bf%d]'),
  }
  if count_known > 500 then
    known, count_known = {}, 0
  end
  known[pattern], count_known = found, count_known + 1
  return found
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
    steps = #s
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

local function searched(s, pattern, init)
  local start = beginning(s, init)
  if start then
    charge(#s / OCTETS_MATCHED)
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

string.find = function(subject, given, init, plain)
  local s, pattern = texts(subject, given)
  if not s or plain or is_quick(s, pattern, byte(pattern) == 94) then
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
  charge(#s / OCTETS_MATCHED)
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
  charge(#s / OCTETS_MATCHED)
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
