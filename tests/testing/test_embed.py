"""`angarium.serve`: the real server inside a program, on real sockets."""

import asyncio
import signal

import pytest
from watchfiles import awatch

import angarium
from angarium.log.index import without_index
from angarium.policy.config import ConfigError
from angarium.testing.nexthop import NextHop

MAIN = """\
hostname = "mx.example.com"
[[listener]]
name = "public"
listen = "127.0.0.1:0"
relay_hosts = []
[[listener]]
name = "inside"
listen = "127.0.0.2:0"
relay_hosts = ["127.0.0.0/8"]
[policy]
listener_domains = ["domains.toml"]
queues = ["queues.toml"]
[spool]
min_free_space = 1
"""
RELAYED = '["example.com"]\nrelay_to = true\n'


class Talk:
    """A client on a real socket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, place):
        talk = cls(*await asyncio.open_connection(*place))
        assert (await talk.reply()).startswith("220")
        return talk

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()

    async def reply(self):
        line = (await self.reader.readline()).decode()
        while line[3:4] == "-":
            line = (await self.reader.readline()).decode()
        return line

    async def say(self, line):
        self.writer.write(f"{line}\r\n".encode())
        return await self.reply()

    async def rcpt(self, recipient):
        await self.say("EHLO me")
        await self.say("MAIL FROM:<a@example.net>")
        return await self.say(f"RCPT TO:<{recipient}>")

    async def content(self):
        assert (await self.say("DATA")).startswith("354")
        return await self.say("Subject: hi\r\n\r\nhello\r\n.")


@pytest.fixture
def main_file(tmp_path):
    (tmp_path / "angarium.toml").write_text(MAIN)
    (tmp_path / "domains.toml").write_text(RELAYED)
    (tmp_path / "queues.toml").write_text("[queue.default]\n")
    return tmp_path / "angarium.toml"


def test_a_program_serves_mail(main_file):
    """Free ports are told by listener, mail arrives at its next hop, and the ports are closed at the end."""

    async def main():
        async with NextHop() as hop:
            (main_file.parent / "queues.toml").write_text(
                f"[queue.'example.com']\nrouting_domain = '{hop.route}'\n"
            )
            async with angarium.serve(main_file) as server:
                assert set(server.listeners) == {"public", "inside"}
                place = server.listeners["public"]
                talk = await Talk.to(place)
                assert (await talk.rcpt("user@example.com")).startswith("250")
                assert (await talk.content()).startswith("250 2.0.0 OK ids=")
                await hop.until(lambda: hop.taken)
                await talk.close()
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection(*place)

    asyncio.run(main())


def test_a_reload_is_taken_whole_or_not_at_all(main_file):
    """`reload` puts changed files in force, and says why a broken change is not taken."""

    async def main():
        domains = main_file.parent / "domains.toml"
        async with angarium.serve(main_file) as server:
            before = server.configuration.hash
            domains.write_text('["example.org"]\nrelay_to = true\n')
            assert (await server.reload()).taken
            assert server.configuration.hash != before
            talk = await Talk.to(server.listeners["public"])
            assert (await talk.rcpt("user@example.org")).startswith("250")
            domains.write_text('["example.org"]\nrelay = true\n')
            result = await server.reload()
            assert not result.taken
            assert any("domains.toml:2: unknown option" in str(problem) for problem in result.problems)
            await talk.close()

    asyncio.run(main())


def test_a_policy_object_is_served(main_file):
    """A Policy made by the program serves with its handlers; it has no files to load again."""
    policy = angarium.Policy.load(main_file)

    @policy.on
    def get_listener_domain(domain, listener, conn_meta):
        return angarium.ListenerDomain(relay_to=True) if domain == "code.example" else None

    async def main():
        async with angarium.serve(policy) as server:
            talk = await Talk.to(server.listeners["public"])
            assert (await talk.rcpt("user@code.example")).startswith("250")
            with pytest.raises(ValueError, match="no file"):
                await server.reload()
            await talk.close()

    asyncio.run(main())


def test_an_open_relay_is_refused(main_file):
    """A policy by which anybody may relay anywhere is not served, unless the program means it."""
    main_file.write_text(MAIN.replace("relay_hosts = []", 'relay_hosts = ["0.0.0.0/0"]'))

    async def main():
        with pytest.raises(ConfigError):
            async with angarium.serve(main_file):
                pass
        async with angarium.serve(main_file, allow_open_relay=True) as server:
            assert server.listeners

    asyncio.run(main())


def test_the_process_is_left_alone(main_file):
    """No signal handler is installed: what SIGTERM does is the program's affair."""
    before = signal.getsignal(signal.SIGTERM)

    async def main():
        async with angarium.serve(main_file):
            assert signal.getsignal(signal.SIGTERM) is before

    asyncio.run(main())


def test_a_server_that_cannot_start_leaves_nothing_open(main_file):
    """When a second server finds the spool in use, its sockets are closed again."""

    async def main():
        async with angarium.serve(main_file):
            with pytest.raises(Exception, match="another process uses the spool"):
                async with angarium.serve(main_file):
                    pass

    asyncio.run(main())


def test_the_log_is_indexed(main_file):
    """What an earlier run has logged is indexed meanwhile, so that `why` finds it at once."""

    async def run(condition):
        async with angarium.serve(main_file) as server:
            talk = await Talk.to(server.listeners["public"])
            assert (await talk.rcpt("user@elsewhere.example")).startswith("550")
            await talk.close()
            async with asyncio.timeout(10):
                async for _ in awatch(main_file.parent, rust_timeout=100, yield_on_timeout=True):
                    if condition():
                        break

    asyncio.run(run(lambda: True))
    logs = main_file.parent / "logs"
    assert without_index([logs])
    asyncio.run(run(lambda: not without_index([logs])))
