"""Issue 8, demand 1: each snippet of the guide does what the guide says, through a whole server."""

from collections.abc import Callable

import pytest

from angarium.testing import Mta, NoDecision
from tests.lua.guide import HANDLER, INIT, LISTENER, LONE, REGISTERED, ROUTES, SETUP, policy

MakeMta = Callable[..., Mta]
INSIDE = "192.0.2.77"
OUTSIDE = "203.0.113.5"
OUT = "b@elsewhere.example"


@pytest.mark.parametrize(
    "text", [INIT, LISTENER + "angarium.configure { postmaster = 'ops@example.com' }\n"], ids=["init", "top"]
)
def test_a_listener(mta: MakeMta, text: str) -> None:
    """`start_esmtp_listener` inside `init` and at top level: who is in relay_hosts relays, nobody else."""
    server = mta({"init.lua": text})
    assert [listener.listen for listener in server.configuration.listeners] == ["0.0.0.0:25"]
    server.expect("relay", "a@any.example", OUT, peer=INSIDE)
    server.expect("550 5.7.1", "a@any.example", OUT, peer=OUTSIDE)


@pytest.mark.parametrize("setup", [REGISTERED, LONE], ids=["registered", "alone"])
def test_listener_domains(mta: MakeMta, setup: str) -> None:
    """`listener_domains:setup` reads the TOML file as it is, given to `kumo.on` or called alone."""
    server = mta(policy(setup))
    server.expect("relay", "a@any.example", "b@example.com")
    server.expect("report-only", "a@any.example", "b@bounces.example.com")
    server.expect("report-only", "a@any.example", "b@fbl.example.com")
    server.expect("relay", "a@customer.example", OUT, peer="198.51.100.7")
    server.expect("refuse", "a@customer.example", OUT, peer=OUTSIDE)
    server.expect("relay", "a@users.example", OUT, auth="anna")
    server.expect("relay", "a@any.example", "b@x.wild.example")
    server.expect("refuse", "a@any.example", "b@www.wild.example")
    server.expect("refuse", "a@any.example", OUT)


def test_the_file_that_decided_is_told(mta: MakeMta) -> None:
    """A decision by a file that Lua names has that file's name and line."""
    server = mta(policy(REGISTERED))
    decided = server.decide("a@any.example", "b@example.com").decided_by
    assert (decided.kind, decided.line, decided.key) == ("rule", 2, "example.com")
    assert decided.file is not None
    assert decided.file.endswith("listener_domains.toml")


def test_tables_in_place_of_files(mta: MakeMta) -> None:
    """`setup` takes tables too, whose entries are told with their lines in init.lua."""
    inline = SETUP + "listener_domains:setup {\n  { ['inline.example'] = {\n    relay_to = true } },\n}\n"
    server = mta(policy(inline))
    decided = server.decide("a@any.example", "b@inline.example").decided_by
    assert decided.file is not None
    assert decided.file.endswith("init.lua")
    assert decided.line == INIT.count("\n") + 4


def test_routing_domain(mta: MakeMta) -> None:
    """The queues file's `routing_domain` is where a relay domain's mail goes."""
    server = mta(policy(REGISTERED, ROUTES))
    assert server.session().mail("a@any.example", "b@example.com").is_accepted
    server.settle()
    [delivered] = server.delivered
    assert (delivered.host, delivered.recipients) == ("10.0.0.1", ("b@example.com",))


def test_a_handler(mta: MakeMta) -> None:
    """A handler's `make_listener_domain` is the answer, with the place of the function as who decided."""
    text = policy(HANDLER)["init.lua"]
    server = mta({"init.lua": text})
    decision = server.decide("a@any.example", "b@code.example")
    assert decision.verdict == "relay"
    assert [one.kind for one in decision.examinations] == ["oob", "arf"]
    decided = decision.decided_by
    assert (decided.kind, decided.handler) == ("handler", "get_listener_domain")
    assert decided.line == text[: text.index("kumo.on('get_listener_domain'")].count("\n") + 1
    server.expect("refuse", "a@any.example", "b@other.example")


def test_log_fbl(mta: MakeMta) -> None:
    """`log_fbl` in a handler's answer is another name of `log_arf`."""
    server = mta({"init.lua": INIT + HANDLER.replace("log_arf", "log_fbl")})
    kinds = [one.kind for one in server.decide("a@x.example", "b@code.example").examinations]
    assert kinds == ["oob", "arf"]


FIRST = """\
kumo.on('get_listener_domain', function(domain)
  if domain == 'both.example' then return kumo.make_listener_domain { relay_to = true } end
end)
kumo.on('get_listener_domain', function(domain)
  if domain == 'both.example' or domain == 'second.example' then
    return kumo.make_listener_domain { relay_to = false, log_oob = true }
  end
end)
"""


def test_the_first_answer_wins(mta: MakeMta) -> None:
    """Of several handlers for an event the first that does not return nil answers, and is named."""
    server = mta({"init.lua": INIT + FIRST})
    before = INIT.count("\n")
    both = server.decide("a@any.example", "b@both.example")
    assert (both.verdict, both.decided_by.line) == ("relay", before + 1)
    second = server.decide("a@any.example", "b@second.example")
    assert (second.verdict, second.decided_by.line) == ("report-only", before + 4)


OVER = """\
kumo.on('get_listener_domain', function(domain)
  return kumo.make_listener_domain { relay_to = false }
end)
"""


def test_files_before_a_handler(mta: MakeMta) -> None:
    """Where `setup` was given to `kumo.on` first, an entry of the files answers before later handlers."""
    server = mta(policy(REGISTERED, OVER))
    server.expect("relay", "a@any.example", "b@example.com")
    server.expect("refuse", "a@any.example", "b@elsewhere.example")


def test_files_after_a_handler(mta: MakeMta) -> None:
    """Where a handler was given to `kumo.on` first, it answers before the files."""
    server = mta(policy(OVER, REGISTERED))
    server.expect("refuse", "a@any.example", "b@example.com")


WRAPPED = (
    SETUP
    + """\
local from_files = listener_domains:setup { 'listener_domains.toml' }
kumo.on('get_listener_domain', function(domain, listener, conn_meta)
  if domain == 'example.com' then return from_files(domain, listener, conn_meta) end
end)
"""
)


def test_setup_called_by_a_handler(mta: MakeMta) -> None:
    """What `setup` returned can be called: the files then answer what they are asked, and nothing else."""
    server = mta(policy(WRAPPED))
    server.expect("relay", "a@any.example", "b@example.com")
    server.expect("refuse", "a@any.example", "b@x.wild.example")


def test_setup_beside_handlers_is_told(mta: MakeMta) -> None:
    """A setup that is not registered does not answer beside handlers, and loading says so."""
    server = mta(policy(HANDLER, LONE))
    server.expect("refuse", "a@any.example", "b@example.com")
    told = [str(problem) for problem in server.configuration.problems]
    assert any("the files of setup answer only where" in text for text in told)


NULL = """\
kumo.on('get_listener_domain', function(domain)
  if domain == '' then return kumo.make_listener_domain { relay_from = { '203.0.113.5' } } end
end)
kumo.on('smtp_server_mail_from', function(sender, conn_meta)
  conn_meta:set_meta('sender', tostring(sender) .. '|' .. sender.domain .. '|' .. sender.user)
end)
"""


def test_the_null_reverse_path(mta: MakeMta) -> None:
    """The null reverse-path reaches Lua as the empty text, as a domain and as an address."""
    server = mta(
        {"init.lua": INIT + NULL + "kumo.configure_local_logs { log_dir = 'l', meta = { 'sender' } }"}
    )
    server.expect("relay", None, OUT, peer=OUTSIDE)
    assert server.session(peer=INSIDE).mail(None, OUT).is_accepted
    assert server.records("Reception")[0]["meta"] == {"sender": "||"}


LISTENS = """\
kumo.on('get_listener_domain', function(domain, listener, conn_meta)
  if domain == 'code.example' and listener == '192.0.2.1:25'
    and conn_meta:get_meta 'received_from':match '^203%.0%.113%.5:' then
    return kumo.make_listener_domain { relay_to = true }
  end
end)
"""


def test_what_a_handler_is_told(mta: MakeMta) -> None:
    """`listener` is the ip:port that accepted the connection, and conn_meta has the session's metadata."""
    server = mta({"init.lua": INIT + LISTENS})
    server.expect("relay", "a@any.example", "b@code.example", peer=OUTSIDE)
    server.expect("refuse", "a@any.example", "b@code.example", peer="203.0.113.6")


def test_a_changed_file(mta: MakeMta) -> None:
    """A reload takes what init.lua and its TOML file say now."""
    server = mta(policy(REGISTERED))
    server.expect("refuse", "a@any.example", "b@new.example")
    server.reload({"listener_domains.toml": '["new.example"]\nrelay_to = true\n'})
    server.expect("relay", "a@any.example", "b@new.example")
    server.reload({"init.lua": INIT + HANDLER})
    server.expect("relay", "a@any.example", "b@code.example")
    server.expect("refuse", "a@any.example", "b@new.example")


BAD = """\
kumo.on('get_listener_domain', function(domain)
  local x = nil
  return domain == 'bad.example' and x.y or nil
end)
"""


def test_a_handler_that_fails(mta: MakeMta, caplog: pytest.LogCaptureFixture) -> None:
    """An error costs 451 and is logged, recorded and told with the line that failed."""
    server = mta({"init.lua": INIT + BAD})
    line = INIT.count("\n")
    session = server.session()
    with pytest.raises(NoDecision) as caught:
        session.decide("a@any.example", "b@bad.example")
    assert caught.value.reply.code == 451
    assert f"init.lua:{line + 1}: handler get_listener_domain failed at" in caplog.text
    assert f"init.lua:{line + 3}: attempt to index a nil value" in caplog.text
    assert not session.is_closed
    assert session.mail("a@any.example", "b@bad.example").reply.code == 451
    decided = server.records("Rejection")[-1]["decided_by"]
    assert (decided["handler"], decided["line"]) == ("get_listener_domain", line + 1)
    server.expect("relay", "a@any.example", OUT, peer=INSIDE)
