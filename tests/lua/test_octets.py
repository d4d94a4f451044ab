"""Octets of a mail that are no text reach metadata, replies and records as U+FFFD: no session ends of it."""

from collections.abc import Callable

import pytest

from angarium.testing import Mta
from tests.lua.guide import INIT

MakeMta = Callable[..., Mta]
INSIDE = "192.0.2.77"
TENANT = """
kumo.on('smtp_server_message_received', function(msg)
  local tenant = msg:get_first_named_header_value 'X-Tenant'
  if tenant then
    msg:set_meta('tenant', tenant)
  end
  msg:import_x_headers()
  local subject = msg:get_first_named_header_value 'Subject'
  if subject then
    kumo.reject(550, '5.7.1 not ' .. subject)
  end
end)
kumo.on('smtp_server_ehlo', function(domain, conn_meta)
  conn_meta:set_meta('k\\255', { 'v\\254' })
end)
"""


def test_metadata(mta: MakeMta) -> None:
    """The guide's own handler takes a field with any octets into metadata."""
    server = mta(
        {"init.lua": INIT + TENANT + "kumo.configure_local_logs { log_dir = 'l', meta = { '*' } }\n"}
    )
    session = server.session(peer=INSIDE)
    assert session.mail("a@x.example", "b@far.example", content=b"X-Tenant: a\xff\r\n\r\nx\r\n").is_accepted
    [record] = server.records("Reception")
    assert record["meta"]["x_tenant"] == "a\ufffd"


def test_replies(mta: MakeMta) -> None:
    """A handler's reply with such octets is the reply, and recorded."""
    server = mta({"init.lua": INIT + TENANT})
    session = server.session(peer=INSIDE)
    answer = session.mail("a@x.example", "b@far.example", content=b"Subject: a\xff\r\n\r\nx\r\n")
    assert (answer.reply.code, answer.reply.text) == (550, "not a?")
    assert session.say("NOOP").code == 250
    [record] = server.records("Rejection")
    assert record["response"]["content"] == "not a\ufffd"


def test_queue_headers(mta: MakeMta) -> None:
    """A queues file's header fields do as well."""
    text = "campaign_header = 'X-Campaign'\ntenant_header = 'X-Tenant'\n[tenant.a]\n"
    setup = "require('policy-extras.queue'):setup { 'queues.toml' }\n"
    server = mta({"init.lua": INIT + setup, "queues.toml": text})
    session = server.session(peer=INSIDE)
    assert session.mail("a@x.example", "b@far.example", content=b"X-Campaign: \xff\r\n\r\nx\r\n").is_accepted
    refused = session.mail("a@x.example", "b@far.example", content=b"X-Tenant: \xff\r\n\r\nx\r\n")
    assert refused.reply.code == 500
    assert session.say("NOOP").code == 250


@pytest.mark.parametrize("call", ["550", "550, {1}", "'550', 'x'", "550.5, 'x'", "200, 'x'", "450, ''"])
def test_what_reject_does_not_take(mta: MakeMta, call: str) -> None:
    """A reject that is none is an error of the handler's, with the line of the call."""
    text = f"kumo.on('smtp_server_ehlo', function()\n  kumo.reject(table.unpack {{ {call} }})\nend)\n"
    server = mta({"init.lua": INIT + text})
    session = server.session(helo=None)
    assert session.say("EHLO x.example").code == 451
