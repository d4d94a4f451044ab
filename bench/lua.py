"""`python -m bench.lua`: what a handler in Lua costs, beside the same handler in Python.

Calls both as sessions do, through `Hooks.call`, in turns, and prints the microseconds of a call.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from statistics import median

from angarium.mail.address import Address
from angarium.policy.hooks import Hooks
from angarium.policy.load import load
from angarium.policy.views import ConnectionMeta, Endpoint

LIMIT = 15.0
"""Microseconds that a call in Lua may cost over one in Python."""
CALLS, ROUNDS = 5_000, 15

LUA = """\
angarium.configure { postmaster = 'ops@example.com' }
kumo.start_esmtp_listener { listen = '127.0.0.1:2525' }
kumo.on('get_listener_domain', function(domain, listener, conn_meta)
  if domain == 'code.example' then
    return kumo.make_listener_domain { relay_to = true, log_oob = true, log_arf = true }
  end
end)
kumo.on('smtp_server_mail_from', function(sender, conn_meta)
  if sender.domain == 'spam.example' then kumo.reject(550, '5.7.1 no') end
end)
kumo.on('smtp_server_ehlo', function(domain, conn_meta)
  conn_meta:set_meta('seen', conn_meta:get_meta 'hostname')
end)
"""
PYTHON = """\
from angarium import ListenerDomain, Policy, reject
policy = Policy(listeners=[{"listen": "127.0.0.1:2525"}], postmaster="ops@example.com")
@policy.on
def get_listener_domain(domain, listener, conn_meta):
    if domain == "code.example":
        return ListenerDomain(relay_to=True, log_oob=True, log_arf=True)
    return None
@policy.on
def smtp_server_mail_from(sender, conn_meta):
    if sender.domain == "spam.example":
        reject(550, "5.7.1 no")
@policy.on
def smtp_server_ehlo(domain, conn_meta):
    conn_meta.meta["seen"] = conn_meta.meta.get("hostname")
"""


def connection() -> ConnectionMeta:
    """A session."""
    here, there = Endpoint(ip_address("127.0.0.1"), 2525), Endpoint(ip_address("192.0.2.1"), 40_000)
    made = ConnectionMeta(session_id="s", peer=there, local=here, listener="in", hostname="mx.example.com")
    made.meta["hostname"] = "mx.example.com"
    return made


CASES: dict[str, tuple[str, Callable[[], tuple[object, ...]]]] = {
    "get_listener_domain, an answer": ("get_listener_domain", lambda: ("code.example", "127.0.0.1:2525")),
    "get_listener_domain, nil": ("get_listener_domain", lambda: ("other.example", "127.0.0.1:2525")),
    "smtp_server_mail_from": ("smtp_server_mail_from", lambda: (Address.parse("a@b.example"),)),
    "smtp_server_ehlo, get_meta, set_meta": ("smtp_server_ehlo", lambda: ("client.example",)),
}


async def one_round(hooks: Hooks, event: str, args: tuple[object, ...]) -> float:
    """Microseconds of a call."""
    session = connection()
    gc.collect()
    started = time.process_time()
    for _ in range(CALLS):
        await hooks.call(event, *args, session)
    return (time.process_time() - started) / CALLS * 1e6


def main() -> int:
    """Print the table; 1 where a call in Lua costs more than it may."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = []
        for name, text in (("policy.py", PYTHON), ("init.lua", LUA)):
            path = Path(folder, name)
            path.write_text(text)
            loaded.append(load(path).hooks)
    worst = 0.0
    print(f"{'microseconds a call':40} {'Python':>8} {'Lua':>8} {'over':>8}")
    for name, (event, make) in CASES.items():
        rounds = [[asyncio.run(one_round(hooks, event, make())) for hooks in loaded] for _ in range(ROUNDS)]
        python, lua = (median(column) for column in zip(*rounds, strict=True))
        worst = max(worst, lua - python)
        print(f"{name:40} {python:8.2f} {lua:8.2f} {lua - python:8.2f}")
    print(f"at most {worst:.2f} over Python; {LIMIT:g} are allowed")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
