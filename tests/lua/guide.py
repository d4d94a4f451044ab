"""A policy as the guide for inbound mail has it, and a server on it."""

from collections.abc import Callable

from angarium.testing import Mta

LISTENER = """\
kumo.start_esmtp_listener {
  listen = '0.0.0.0:25',
  relay_hosts = { '192.0.2.0/24', '2001:db8::/32' },
}
"""
INIT = f"""\
local kumo = require 'kumo'
kumo.on('init', function()
  {LISTENER}end)
angarium.configure {{ hostname = 'mx.example.com', postmaster = 'ops@example.com' }}
"""
DOMAINS = """\
["example.com"]
relay_to = true

["bounces.example.com"]
log_oob = true

["fbl.example.com"]
log_arf = true

["customer.example"]
relay_from = ["198.51.100.0/24"]

["users.example"]
relay_from_authz = ["anna"]

["*.wild.example"]
relay_to = true
log_oob = true

["www.wild.example"]
relay_to = false
log_oob = false

[listener."192.0.2.1:25"."*.wild.example"]
log_oob = false
"""
QUEUES = """\
[queue."example.com"]
routing_domain = "[10.0.0.1]"
"""
SETUP = "local listener_domains = require 'policy-extras.listener_domains'\n"
REGISTERED = SETUP + "kumo.on('get_listener_domain', listener_domains:setup { 'listener_domains.toml' })\n"
LONE = SETUP + "listener_domains:setup { 'listener_domains.toml' }\n"
ROUTES = "local queues = require 'policy-extras.queue'\nlocal helper = queues:setup { 'queues.toml' }\n"
HANDLER = """\
kumo.on('get_listener_domain', function(domain, listener, conn_meta)
  if domain == 'code.example' then
    return kumo.make_listener_domain {
      relay_to = true,
      log_oob = true,
      log_arf = true,
    }
  end
end)
"""

MakeMta = Callable[..., Mta]


def policy(*parts: str, **files: str) -> dict[str, str]:
    """The files of a policy: `init.lua` of these parts, after the listener."""
    named = {f"{name}.toml": text for name, text in files.items()}
    return {
        "init.lua": "".join((INIT, *parts)),
        "listener_domains.toml": DOMAINS,
        "queues.toml": QUEUES,
        **named,
    }
