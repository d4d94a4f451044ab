"""What a handler answered is told in Lua, as the policy file could have written it."""

import json
from pathlib import Path

import pytest

from angarium.lua.told import told
from angarium.policy.config import Protocol, QueueConfig
from angarium.policy.decision import ListenerDomain
from angarium.policy.networks import parse_network
from angarium.policy.throttle import Rate
from angarium.policy.views import Identity
from tests.cli.house import angarium

POLICY = """\
angarium.configure { hostname = 'mx.example.com', postmaster = 'ops@example.com' }
kumo.on('init', function()
  kumo.start_esmtp_listener { listen = '127.0.0.1:2525', relay_hosts = { '10.0.0.0/8' }, tls = 'off' }
end)
kumo.on('get_listener_domain', function(domain)
  if domain == 'code.example' then
    return kumo.make_listener_domain { relay_to = true, relay_from = { '192.0.2.0/24' } }
  end
end)
"""
NEIL = (
    r"{ identities = { { identity = 'o\'neil', context = 'SmtpAuthPlainAuthentication' }, "
    r"{ identity = 'o\'neil', context = 'SmtpAuthPlainAuthorization' } } }"
)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (
            QueueConfig(max_age=60.0, max_message_rate=Rate(5, 1.0)),
            "kumo.make_queue_config { max_age = '1m', max_message_rate = '5/s' }",
        ),
        (ListenerDomain(), "kumo.make_listener_domain {}"),
        (ListenerDomain(log_oob=True), "kumo.make_listener_domain { log_oob = 'LogThenDrop' }"),
        (
            QueueConfig(smtp_port=2525, prohibited_hosts=(parse_network("10.0.0.0/8"),)),
            "kumo.make_queue_config { prohibited_hosts = { '10.0.0.0/8' }, smtp_port = 2525 }",
        ),
        (
            QueueConfig(protocol=Protocol(kind="lmtp", mx_list=("[10.0.0.1]",))),
            "kumo.make_queue_config { protocol = { lmtp = { mx_list = { '[10.0.0.1]' } } } }",
        ),
        (
            Identity("o'neil"),
            NEIL,
        ),
    ],
)
def test_as_it_is_written(answer: object, text: str) -> None:
    """Answers are told as calls and tables of Lua, without what is so by default."""
    assert told(answer) == text


def test_explain_speaks_lua(tmp_path: Path) -> None:
    """`explain` tells what a handler in Lua answered in Lua, and its silence as nothing."""
    (tmp_path / "init.lua").write_text(POLICY)

    def answers(domain: str) -> set[str]:
        asked = ("--peer", "198.51.100.7", "--from", "a@b.example", "--rcpt", f"user@{domain}")
        done = angarium("explain", "-c", tmp_path / "init.lua", "--json", *asked)
        calls = json.loads(done.stdout)["handlers"]
        return {call["answer"] for call in calls if call["asked"] == domain}

    assert answers("code.example") == {
        "kumo.make_listener_domain { relay_to = true, relay_from = { '192.0.2.0/24' } }"
    }
    assert answers("other.example") == {"nothing"}
