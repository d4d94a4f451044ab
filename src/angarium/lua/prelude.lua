-- What a policy file finds around it: the reference's functions over the host's, inside the limits.
-- Receives the host (functions of Python, each of which answers true and values, or false and a text), and the
-- functions of Lua's library that have to be bounded.
local given_host, bound_library = ...

local error, getmetatable, ipairs, load, next, pairs, pcall, select, setmetatable, tostring, type, xpcall =
  error, getmetatable, ipairs, load, next, pairs, pcall, select, setmetatable, tostring, type, xpcall
local getinfo, sethook, traceback = debug.getinfo, debug.sethook, debug.traceback
local find, gsub, sub, lower = string.find, string.gsub, string.sub, string.lower
local concat, pack, unpack = table.concat, table.pack, table.unpack
local max, number_type = math.max, math.type
local new_coroutine, resume, close = coroutine.create, coroutine.resume, coroutine.close
local clock, collectgarbage, getmetatable_raw, rawget = os.clock, collectgarbage, debug.getmetatable, rawget
local unsafe = { ['os.execute'] = os.execute, ['io.popen'] = io.popen, ['package.loadlib'] = package.loadlib }

-- Memory ---------------------------------------------------------------------------------------------
-- The host's functions run without the limit: an allocation that fails there would leave Python without its end.
local limited, unlimited = given_host.limited, given_host.unlimited

local function after(...)
  limited()
  return ...
end

-- Limits ---------------------------------------------------------------------------------------------
local STEP = 1000
-- Seconds an instruction, ten times what most take: comparing and joining long texts is one instruction each, and what
-- does so again and again meets its limit sooner.
local SLOWEST, LEAST = 5e-8, 0.25
local CONVERTED = 10 -- instructions an octet of JSON or TOML
local steps_left, deadline, is_spent = math.huge, math.huge, false
local SPENT = 'took too many instructions (angarium.configure { lua = { max_instructions = ... } })'

local function charge(instructions)
  steps_left = steps_left - instructions / STEP
  if steps_left < 0 or clock() > deadline then
    is_spent = true
    error(SPENT, 0)
  end
end

local function count()
  charge(STEP)
end

local function begin(instructions)
  steps_left, deadline, is_spent = instructions / STEP, clock() + max(LEAST, instructions * SLOWEST), false
end

-- A program cannot catch what ends it.
local function unless_spent(...)
  if is_spent then
    error(SPENT, 0)
  end
  return ...
end

-- Where -----------------------------------------------------------------------------------------------
local function place()
  for level = 2, 200 do
    local info = getinfo(level, 'Sl')
    if not info then
      return
    end
    if sub(info.source, 1, 1) == '@' then
      return sub(info.source, 2), info.currentline, info.short_src
    end
  end
end

local function checked(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

-- Texts that the host takes are its memory: they are charged, but for those that it only looks at.
local LOOKED_AT = { find_match = true, find_plain = true, begin_matches = true, json_parse = true, toml_parse = true }

local function weigh(first, ...)
  if type(first) == 'string' and #first > 999 then
    charge(#first)
  end
  if select('#', ...) > 0 then
    return weigh(...)
  end
end

local function weighed(f)
  return function(...)
    local first, _, third = ...
    if third ~= nil or type(first) == 'string' then
      weigh(...)
    end
    unlimited()
    return after(f(...))
  end
end

local host = {}
for name, f in pairs(given_host) do
  host[name] = LOOKED_AT[name] and function(...)
    unlimited()
    return after(f(...))
  end or weighed(f)
end

bound_library(string, table, charge, host, checked, getmetatable_raw)

-- A function of the host's as one of Lua's: what goes wrong is an error, which `on_error` finds the line of.
local function lift(name)
  local f = host[name]
  return function(...)
    return checked(f(...))
  end
end

-- Values ----------------------------------------------------------------------------------------------
local Reject, Address, Connection, Message, Domain, Queue, Egress =
  {}, {}, { __name = 'conn_meta' }, { __name = 'message' }, { __name = 'listener domain' }, { __name = 'queue config' }, {}
local FILES = {}

Address.__tostring = function(self) return self.email end
Address.__eq = function(a, b) return a.email == b.email end

local function address(email, user, domain)
  return setmetatable({ email = email, user = user, domain = domain }, Address)
end

local function maybe_address(email, user, domain, name)
  if email then
    local made = address(email, user, domain)
    made.name = name
    return made
  end
end

local function methods_of(class, title, functions)
  class.__index = function(_, name)
    local method = functions[name]
    if method == nil then
      error(host.missing_method(title, tostring(name)), 2)
    end
    return method
  end
  class.__metatable = false
end

local function on_handle(name)
  local f = host[name]
  return function(self, ...)
    return checked(f(self[1], ...))
  end
end

methods_of(Connection, 'conn_meta', { get_meta = on_handle 'get_meta', set_meta = on_handle 'set_meta' })

local function address_header(self, name)
  return maybe_address(checked(host.address_header(self[1], name)))
end

methods_of(Message, 'msg', {
  get_meta = on_handle 'get_meta',
  set_meta = on_handle 'set_meta',
  sender = function(self) return address(checked(host.sender(self[1]))) end,
  set_sender = function(self, value) checked(host.set_sender(self[1], tostring(value))) end,
  recipient = function(self) return address(checked(host.recipient(self[1], 1))) end,
  recipient_list = function(self)
    local list = {}
    for index = 1, checked(host.recipient_count(self[1])) do
      list[index] = address(checked(host.recipient(self[1], index)))
    end
    return list
  end,
  set_recipient = function(self, value)
    local list = type(value) == 'table' and getmetatable(value) ~= Address and value or { value }
    local texts = {}
    for index, one in ipairs(list) do
      texts[index] = tostring(one)
    end
    checked(host.set_recipients(self[1], unpack(texts)))
  end,
  get_data = on_handle 'get_data',
  body = on_handle 'body',
  size = on_handle 'size',
  queue_name = on_handle 'queue_name',
  get_first_named_header_value = on_handle 'first_header',
  get_all_named_header_values = on_handle 'all_named_headers',
  get_all_headers = on_handle 'all_headers',
  get_address_header = address_header,
  from_header = function(self) return address_header(self, 'From') end,
  to_header = function(self) return address_header(self, 'To') end,
  prepend_header = on_handle 'prepend_header',
  remove_all_named_headers = on_handle 'remove_header',
  remove_x_headers = on_handle 'remove_x_headers',
  import_x_headers = on_handle 'import_x_headers',
})

local function made(class, name)
  local f = host[name]
  return function(options)
    return setmetatable({ checked(f(options)) }, class)
  end
end

-- Maps ------------------------------------------------------------------------------------------------
local function normal(name)
  return checked(host.normal_domain(name))
end

local function domain_map(entries)
  local exact, below = {}, {}
  local map = setmetatable({}, {
    __index = function(_, name)
      if type(name) ~= 'string' then
        return nil
      end
      name = normal(name)
      local value, rest = exact[name], name
      while value == nil and rest do
        rest = rest:match '^[^.]*%.(.+)$'
        value = below[rest or '*']
      end
      if value == nil then
        value = below['*']
      end
      return value
    end,
    __newindex = function(_, name, value)
      if name == '*' then
        below['*'] = value
      elseif sub(name, 1, 2) == '*.' then
        below[normal(sub(name, 3))] = value
      else
        exact[normal(name)] = value
      end
    end,
  })
  for name, value in pairs(entries or {}) do
    map[name] = value
  end
  return map
end

local function cidr_map(entries)
  local values, networks = {}, host.networks()
  local map = setmetatable({}, {
    __index = function(_, ip) return values[checked(host.find_network(networks, ip))] end,
    __newindex = function(_, network, value) values[checked(host.add_network(networks, network))] = value end,
  })
  for network, value in pairs(entries or {}) do
    map[network] = value
  end
  return map
end

-- The reference's modules -----------------------------------------------------------------------------
-- For `angarium migrate`: what is not here, as something that can be called and looked into and does nothing.
local stand_in = {}
setmetatable(stand_in, { __index = function() return stand_in end, __call = function() return stand_in end })

local function is_tolerant()
  return host.is_tolerant ~= nil and host.is_tolerant()
end

local function module(name, contents)
  return setmetatable(contents, {
    __index = function(_, key)
      if type(key) == 'string' and is_tolerant() then
        return stand_in
      elseif type(key) == 'string' then
        error(host.missing(name .. '.' .. key), 2)
      end
    end,
  })
end

local function logs(level)
  return function(...)
    local parts = pack(...)
    for index = 1, parts.n do
      parts[index] = tostring(parts[index])
    end
    local file, line = place()
    host.log(level, concat(parts, ' '), file, line)
  end
end

local function declares(name)
  local f = host[name]
  return function(options)
    local file, line = place()
    return checked(f(options, file, line))
  end
end

local chains = {}

local function on(event, handler)
  local file, line = place()
  local parameters = 0
  if type(handler) == 'function' then
    local info = getinfo(handler, 'Su')
    parameters = info.nparams
    if sub(info.source, 1, 1) == '@' then
      file, line = sub(info.source, 2), info.linedefined
    end
  elseif handler == stand_in then
    return
  elseif getmetatable(handler) ~= FILES then
    error('kumo.on takes a function, not ' .. type(handler), 2)
  else
    file, line = rawget(handler, 'file'), rawget(handler, 'line')
  end
  checked(host.register(event, file, line, parameters, getmetatable(handler) == FILES))
  chains[event] = chains[event] or {}
  chains[event][#chains[event] + 1] = handler
end

local function listener_domains_setup(_, files)
  local file, line = place()
  checked(host.setup_listener_domains(files, file, line))
  return setmetatable({ file = file, line = line }, FILES)
end

FILES.__newindex = function(_, name)
  error('what the files answer cannot be changed (' .. tostring(name) .. '): '
    .. 'make a kumo.make_listener_domain of your own', 2)
end
FILES.__index = function(_, name)
  error('what the files answer cannot be looked into (' .. tostring(name) .. '): return it as it is', 2)
end

FILES.__call = function(_, domain, listener, conn_meta)
  if checked(host.files_answer(domain, listener, conn_meta[1])) then
    return FILES
  end
end

local queue_helper = { apply = function() end }

local function queue_setup(_, files)
  local file, line = place()
  checked(host.setup_queue(files, file, line))
  return queue_helper
end

local QUEUE_OPTIONS = { file_names = true, skip_queue_config_hook = true }

local function queue_setup_with_options(_, options)
  for name in pairs(type(options) == 'table' and options or {}) do
    if not QUEUE_OPTIONS[name] and not find(name, 'cach') then
      error('unknown option ' .. tostring(name) .. ' of setup_with_options: it takes file_names', 2)
    end
  end
  if type(options) ~= 'table' or options.file_names == nil then
    error('setup_with_options takes { file_names = { ... } }', 2)
  end
  local file, line = place()
  checked(host.setup_queue(options.file_names, file, line))
  return queue_helper
end

local serde = {}
for _, name in ipairs { 'json_parse', 'json_encode', 'json_encode_pretty', 'json_load',
                        'toml_parse', 'toml_encode', 'toml_encode_pretty', 'toml_load' } do
  local f = lift(name)
  serde[name] = function(value)
    charge(type(value) == 'string' and #value * CONVERTED or 0)
    local answer = f(value)
    charge(type(answer) == 'string' and #answer * CONVERTED or 0)
    return answer
  end
end

local function rejects(name, when)
  return function(code, text, mode)
    if number_type(code) ~= 'integer' or code < 400 or code > 599 then
      error('kumo.' .. name .. ' takes a code from 400 to 599, not ' .. tostring(code), 2)
    elseif type(text) ~= 'string' then
      error('kumo.' .. name .. ' takes a code and a text', 2)
    end
    if when == nil or mode == nil then
      mode = when
    elseif mode ~= 'If421' and mode ~= 'ForceDisconnect' then
      error('kumo.' .. name .. " takes 'ForceDisconnect' or 'If421', not " .. tostring(mode), 2)
    end
    error(setmetatable({ code, text, mode == 'ForceDisconnect' }, Reject), 0)
  end
end

local kumo = {
  on = on,
  start_esmtp_listener = declares 'start_esmtp_listener',
  define_spool = declares 'define_spool',
  configure_local_logs = declares 'configure_local_logs',
  configure_bounce_classifier = declares 'configure_bounce_classifier',
  make_listener_domain = made(Domain, 'make_listener_domain'),
  make_queue_config = made(Queue, 'make_queue_config'),
  make_egress_path = made(Egress, 'make_egress_path'),
  make_egress_source = made(Egress, 'make_egress_source'),
  make_egress_pool = made(Egress, 'make_egress_pool'),
  reject = rejects 'reject',
  disconnect = rejects('disconnect', 'ForceDisconnect'),
  serde = module('kumo.serde', serde),
  domain_map = module('kumo.domain_map', { new = domain_map }),
  cidr = module('kumo.cidr', { make_map = cidr_map }),
  log_info = logs 'info',
  log_warn = logs 'warning',
  log_error = logs 'error',
  log_debug = logs 'debug',
}
for name, f in pairs(serde) do
  kumo[name] = f
end
kumo = module('kumo', kumo)

local loaded = {
  kumo = kumo,
  ['policy-extras.listener_domains'] = module('listener_domains', { setup = listener_domains_setup }),
  ['policy-extras.queue'] = module('queue', { setup = queue_setup, setup_with_options = queue_setup_with_options }),
  ['policy-extras.sources'] = module('sources', {
    setup = function(_, files)
      local file, line = place()
      checked(host.setup_sources(files, file, line))
    end,
  }),
}

-- What surrounds a policy file ------------------------------------------------------------------------
local environment = _G
environment.kumo = kumo
environment.python = nil

local function allow(name)
  local where, field = name:match '^(%w+)%.(%w+)$'
  environment[where][field] = unsafe[name]
end

environment.angarium = module('angarium', {
  configure = function(options)
    local file, line = place()
    checked(host.configure(options, file, line))
    for _, name in ipairs(type(options.lua) == 'table' and options.lua.allow or {}) do
      allow(name)
    end
  end,
})

environment.print = logs 'info'
environment.debug = { traceback = traceback }
environment.os = { clock = os.clock, date = os.date, difftime = os.difftime, getenv = os.getenv, time = os.time,
                   remove = os.remove, rename = os.rename, tmpname = os.tmpname }
environment.io.popen = nil
environment.string.dump = nil
environment.package = { loaded = loaded, path = '', preload = {} }
environment.pcall = function(...)
  return unless_spent(pcall(...))
end
-- A message handler runs inside the hook that raised, where nothing is counted: it must not begin there.
environment.xpcall = function(f, handler, ...)
  local function handle(what)
    return is_spent and SPENT or handler(what)
  end
  return unless_spent(xpcall(f, handle, ...))
end
environment.getmetatable = function(value)
  if type(value) ~= 'userdata' then
    return getmetatable(value)
  end
end
environment.collectgarbage = function(...)
  charge(collectgarbage('count') * 10)
  return collectgarbage(...)
end
-- Finalizers run where nothing is counted.
environment.setmetatable = function(t, meta)
  if type(meta) == 'table' and rawget(meta, '__gc') ~= nil then
    error('__gc is not available in Angarium: use __close', 2)
  end
  return setmetatable(t, meta)
end
environment.load = function(text, name, _, scope)
  return load(text, name, 't', scope or environment)
end
environment.dofile, environment.loadfile = nil, nil
environment.coroutine.create = function(f)
  local made_one = new_coroutine(f)
  sethook(made_one, count, '', STEP)
  return made_one
end
environment.coroutine.wrap = function(f)
  local made_one = environment.coroutine.create(f)
  return function(...)
    local answer = pack(unless_spent(resume(made_one, ...)))
    if not answer[1] then
      error(answer[2], 0)
    end
    return unpack(answer, 2, answer.n)
  end
end
-- What is left to do in a coroutine that was ended would not be counted.
environment.coroutine.close = function(one)
  unless_spent()
  return unless_spent(close(one))
end
environment.coroutine.resume = function(...)
  return unless_spent(resume(...))
end

environment.require = function(name)
  if loaded[name] == nil then
    local preload = environment.package.preload[name]
    local text, chunk
    if preload == nil then
      local ok
      ok, text, chunk = host.module(name, environment.package.path)
      if not ok and is_tolerant() then
        return stand_in
      elseif not ok then
        error(text, 0)
      end
      local problem
      preload, problem = load(text, '@' .. chunk, 't', environment)
      if not preload then
        error(problem, 0)
      end
    end
    local answer = preload(name)
    loaded[name] = answer == nil and true or answer
  end
  return loaded[name]
end

-- Running ---------------------------------------------------------------------------------------------
local function on_error(what)
  steps_left = max(steps_left, 100)
  local file, line, short = place()
  if type(what) == 'table' and getmetatable(what) == Reject then
    return what
  end
  local text = gsub(gsub(tostring(what), '^bounds:%d+: ', ''), " to 'native'", '') -- the wrapper's, not the file's
  if short then
    local prefix = short .. ':' .. line .. ': '
    if sub(text, 1, #prefix) == prefix then
      text = sub(text, #prefix + 1)
    end
  end
  return { text, file, line }
end

-- What became of it: 'answer' with a value and which handler gave it, 'reject' with code and text, or 'error' with
-- a text, a file and a line.
local current = 0

local function ended(ok, answer, index)
  if ok and is_spent then
    return 'error', SPENT, nil, nil, current, true
  elseif ok then
    return 'answer', answer, index
  end
  if type(answer) ~= 'table' then
    return 'error', answer, nil, nil, current, true
  end
  if getmetatable(answer) == Reject then
    return 'reject', answer[1], answer[2], answer[3], current
  end
  return 'error', answer[1], answer[2], answer[3], current, is_spent
end

local function walk(chain, unwrap, ...)
  for index = 1, #chain do
    current = index
    local answer = chain[index](...)
    if answer ~= nil then
      return unwrap(answer), index
    end
  end
end

local function nothing() end -- as there: what a handler of such an event returns is nobody's

local function unwrapped(class, what)
  return function(answer)
    if answer == FILES then
      return 'files'
    end
    if type(answer) ~= 'table' or getmetatable(answer) ~= class then
      error('returned ' .. type(answer) .. ': return ' .. what .. ', or nil', 0)
    end
    return answer[1]
  end
end

local a_domain = unwrapped(Domain, 'what kumo.make_listener_domain makes')
local a_queue = unwrapped(Queue, 'what kumo.make_queue_config makes')
local an_egress = unwrapped(Egress, 'what kumo.make_egress_path, _source or _pool makes')

local function session(handle) return setmetatable({ handle }, Connection) end
local function message(handle) return setmetatable({ handle }, Message) end
local function identity(answer) return answer end

local run = {
  get_listener_domain = function(chain, domain, listener, conn)
    return xpcall(walk, on_error, chain, a_domain, domain, listener, session(conn))
  end,
  get_queue_config = function(chain, domain, tenant, campaign, routing_domain, conn)
    return xpcall(walk, on_error, chain, a_queue, domain, tenant, campaign, routing_domain, session(conn))
  end,
  smtp_server_connection_accepted = function(chain, conn)
    return xpcall(walk, on_error, chain, nothing, session(conn))
  end,
  smtp_server_ehlo = function(chain, domain, conn)
    return xpcall(walk, on_error, chain, nothing, domain, session(conn))
  end,
  smtp_server_auth_plain = function(chain, authz, authn, password, conn)
    return xpcall(walk, on_error, chain, identity, authz, authn, password, session(conn))
  end,
  smtp_server_mail_from = function(chain, email, user, domain, conn)
    return xpcall(walk, on_error, chain, nothing, address(email, user, domain), session(conn))
  end,
  smtp_server_data = function(chain, msg, conn)
    return xpcall(walk, on_error, chain, nothing, message(msg), session(conn))
  end,
  egress = function(chain, ...)
    return xpcall(walk, on_error, chain, an_egress, ...)
  end,
  init = function(chain)
    return xpcall(walk, on_error, chain, function() end)
  end,
}
run.smtp_server_rcpt_to, run.smtp_server_message_received = run.smtp_server_mail_from, run.smtp_server_data
run.get_egress_pool, run.get_egress_source, run.get_egress_path_config = run.egress, run.egress, run.egress
run.pre_init = run.init

-- What goes back to the host is converted without the limit, too.
local function leave(...)
  unlimited()
  return ...
end

local function call(event, instructions, ...)
  limited()
  begin(instructions)
  return leave(ended(run[event](chains[event], ...)))
end

-- Called once, with the text of the policy file.
local function start(text, name, instructions)
  limited()
  local chunk, problem = load(text, '@' .. name, 't', environment)
  if not chunk then
    return leave('error', problem)
  end
  begin(instructions)
  return leave(ended(xpcall(chunk, on_error)))
end

sethook(count, '', STEP)
return start, call
