"""Several workers behind one supervisor, as the real program runs them."""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import resource
import signal
import smtplib
import socket
from pathlib import Path

import pytest

from angarium.cli.client import Refusal
from angarium.testing.nexthop import NextHop
from tests.cli.house import angarium, why
from tests.node.node_house import LIMIT, is_gone, node, write
from tests.queue.killed import Senders

MANY = 24
"""Connections: that all go to one of two workers happens once in eight million times."""


def run(test):
    """Run a coroutine."""
    return asyncio.run(test)


def write_poisoned(folder):
    """Write the files, and a policy that does not load where there is a file named poison."""
    write(folder)
    (folder / "policy.py").write_text(
        "import pathlib\n"
        "from angarium import Policy\n"
        f"if pathlib.Path({str(folder / 'poison')!r}).exists():\n"
        "    raise ValueError('not here')\n"
        "policy = Policy.load('main.toml')\n"
    )


def written_by(folder):
    """The numbers of the workers that have written records."""
    return {int(re.search(r"-(\d+)\.zst$", path.name)[1]) for path in (folder / "logs").glob("*.zst")}


def test_one_node(tmp_path):
    """Both workers serve, and are one to those who ask: counts, lists, ids, orders, logs, decisions."""

    async def main():
        async with node(tmp_path, workers=2) as server:
            assert await server.codes("user@example.com") == {250}
            assert await server.codes("user@example.org") == {550}
            ids = await server.send(MANY)
            overview = await server.queue()
            assert (overview["messages"], overview["queue_count"]) == (MANY, 1)
            assert [queue["messages"] for queue in overview["queues"]] == [MANY]
            assert len(overview["sites"]) == 1
            rows = await server.queue(selector={"domain": "example.com"})
            assert {row["id"] for row in rows} == set(ids)
            assert [row["created"] for row in rows] == sorted(row["created"] for row in rows)
            for ident in ids[:4]:
                assert (await server.queue("show", what=ident))["id"] == ident
            shown = await server.queue("show", what="example.com")
            assert (shown["messages"], len(shown["rows"])) == (MANY, MANY)
            [found] = await server.queue("find", message_id=f"<{MANY - 1}@x>")
            assert found["id"] == ids[MANY - 1]
            with pytest.raises(Refusal, match="no message, queue or site"):
                await server.queue("show", what="nothing")
            await orders(server)
            await operators(server, ids)
            assert await server.stop() == 0
        assert written_by(tmp_path) == {0, 1}

    async def orders(server):
        given = await server.queue("suspend", selector={"domain": "example.com"}, reason="a move")
        assert given["count"] == MANY
        [order] = await server.queue("suspensions")
        assert (order["name"], order["reason"]) == (given["name"], "a move")
        with pytest.raises(Refusal, match="stands already"):
            await server.queue("suspend", selector={"domain": "x.example"}, name=given["name"])
        assert (await server.queue())["suspensions"] == 1
        await server.queue("cancel", what=given["name"])
        assert await server.queue("suspensions") == []
        dry = await server.queue("delete", selector={"domain": "example.com"}, dry_run=True)
        assert (dry["count"], len(dry["sample"])) == (MANY, 10)

    async def operators(server, ids):
        config = tmp_path / "main.toml"
        for ident in ids[:3]:
            assert ident in (await asyncio.to_thread(why, ident, config)).stdout
        assert (await asyncio.to_thread(angarium, "logs", "--id", ids[-1], "-c", config)).stdout
        question = ("--peer", "192.0.2.7", "--from", "a@b.example", "--rcpt", "user@example.com", "--json")
        explained = await asyncio.to_thread(angarium, "explain", "-c", config, *question)
        assert '"verdict": "relay"' in explained.stdout
        version = await server.ask("version")
        assert version["pid"] == server.process.pid
        assert [worker["number"] for worker in version["workers"]] == [0, 1]

    run(main())


def test_a_killed_worker(tmp_path):
    """A killed worker is begun again with its spool; who connects meanwhile waits, and is served."""

    async def main():
        async with node(tmp_path, workers=2) as server:
            ids = await server.send(MANY)
            pids = await server.workers()
            os.kill(pids[1], signal.SIGKILL)
            assert len(await server.send(MANY)) == MANY
            line = await server.heard("worker 1 ended")
            assert re.search(
                r"SIGKILL; when last seen it had .* messages in its queues and .* MB; .*journalctl", line
            )
            await server.heard("worker 1 is ready again")
            assert "messages wait in the spool" in await server.heard("angarium: worker 1: info:")
            assert (await server.workers())[0] == pids[0]
            rows = await server.queue(selector={"domain": "example.com"}, limit=1000)
            assert len(rows) == 2 * MANY
            assert {row["id"] for row in rows} >= set(ids)
            assert await server.stop(signal.SIGINT) == 0

    run(main())


def test_killing_under_load(tmp_path):
    """However often workers are killed while mail comes in, nothing that was answered 250 is lost."""

    async def main():
        async with NextHop() as hop:
            arrived = set()
            hop.take = lambda taken: arrived.add(int(re.search(rb"X-Number: (\d+)", taken.content)[1]))
            queues = f"[queue.default]\nrouting_domain = '{hop.route}'\nretry_interval = '1s'\n"
            async with node(tmp_path, workers=2, queues=queues) as server:
                senders = Senders("127.0.0.1", server.port)
                traffic = asyncio.create_task(senders.run(6))
                for worker in (0, 1, 0, 1):
                    before = len(senders.promised)
                    await hop.until(lambda before=before: len(senders.promised) > before + 20, limit=60)
                    await server.kill(worker)
                senders.stop()
                await traffic
                await hop.until(lambda: not senders.promised.keys() - arrived, limit=60)
                assert await server.stop() == 0
            assert len(senders.promised) > 80

    run(main())


def test_reload_of_all(tmp_path):
    """A change is in force in every worker, or in none; a worker that cannot take it keeps it from all."""

    async def main():
        write(tmp_path)
        poison = tmp_path / "poison"
        (tmp_path / "policy.py").write_text(
            "import os, pathlib\n"
            "from angarium import Policy\n"
            f"poison = pathlib.Path({str(poison)!r})\n"
            "if poison.exists() and poison.read_text() == str(os.getppid()):\n"
            "    raise ValueError('not here')\n"
            "policy = Policy.load('main.toml')\n"
        )
        async with node(tmp_path, entrance="policy.py") as server:
            (tmp_path / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
            assert (await server.ask("reload"))["taken"]
            assert await server.codes("user@example.org") == {250}
            assert await server.codes("user@example.com") == {550}
            poison.write_text(str((await server.workers())[1]))
            (tmp_path / "domains.toml").write_text('["example.net"]\nrelay_to = true\n')
            answer = await server.ask("reload")
            assert not answer["taken"]
            assert "worker 1: " in answer["problems"][0]["text"]
            assert await server.codes("user@example.org") == {250}
            assert await server.codes("user@example.net") == {550}
            poison.unlink()
            server.process.send_signal(signal.SIGHUP)
            await server.heard("is in force", after=len(server.said))
            assert await server.codes("user@example.net") == {250}
            assert await server.stop() == 0

    run(main())


def test_a_worker_that_cannot_begin_again(tmp_path):
    """A worker that ended and cannot begin is tried now and then, and at once after a reload.

    Meanwhile whoever looks is told that it is missing, and a suspension waits for it.
    """

    async def who_looks_is_told(server):
        asked = ("queue", "--socket", tmp_path / "spool/control.sock")
        shown = await asyncio.to_thread(angarium, *asked, "--json")
        assert (shown.returncode, json.loads(shown.stdout)["missing_workers"]) == (1, [0])
        assert "worker 0 is not there: its part is missing" in shown.stderr
        with pytest.raises(Refusal, match="worker 0 is not there: what it has is missing"):
            await server.queue("show", what="a.example")
        given = await asyncio.to_thread(
            angarium, *asked, "suspend", "--domain", "a.example", "--name", "late"
        )
        assert given.returncode == 0
        assert "worker 0 is not there: it is told when it is back" in given.stderr

    async def holds_everywhere(server, name):
        """Whether every worker has an order: a second one of its name is refused by all alike."""
        with pytest.raises(Refusal) as refused:
            await server.queue("suspend", selector={"domain": "b.example"}, name=name)
        return "workers have done it" not in str(refused.value)

    async def main():
        write_poisoned(tmp_path)
        async with node(tmp_path, entrance="policy.py") as server:
            pids = await server.workers()
            (tmp_path / "poison").touch()
            os.kill(pids[0], signal.SIGKILL)
            line = await server.heard("worker 0 cannot start")
            assert "policy.py:4" in line
            assert "trying again in" in line
            with pytest.raises(Refusal, match="nothing was done: worker 0 is not there"):
                await server.queue("delete", everything=True)
            assert (await server.queue())["messages"] == 0
            await who_looks_is_told(server)
            assert await server.codes("user@example.com") == {250}, "the other worker has all connections"
            (tmp_path / "poison").unlink()
            server.process.send_signal(signal.SIGHUP)
            await server.heard("worker 0 is ready again")
            assert await server.codes("user@example.com") == {250}
            assert await holds_everywhere(server, "late")
            assert len([line for line in server.said if "cannot start" in line]) < 10
            assert await server.stop() == 0

    run(main())


def test_a_full_worker(tmp_path):
    """Nobody is refused while a worker has room for a session; when none has, who comes is told 421."""

    async def main():
        write(tmp_path)
        main = tmp_path / "main.toml"
        main.write_text(main.read_text().replace("[policy]", "max_connections = 8\n[policy]", 1))
        async with node(tmp_path) as server:
            clients = [await asyncio.to_thread(greeted, server.port) for _ in range(16)]
            assert [code for code, _ in clients] == [b"220"] * 16
            code, refused = await asyncio.to_thread(greeted, server.port)
            assert code == b"421"
            workers = (await server.ask("version"))["workers"]
            assert all(worker["full"] for worker in workers)
            for client in (refused, *(client for _, client in clients)):
                client.close()
            async with asyncio.timeout(LIMIT):
                while any(worker["full"] for worker in (await server.ask("version"))["workers"]):
                    pass
            assert await server.codes("user@example.com") == {250}
            assert await server.stop() == 0

    run(main())


def test_a_worker_whose_spool_fails(tmp_path):
    """While one worker cannot write its spool, the other accepts what comes; nobody is refused for it."""

    async def main():
        async with node(tmp_path, workers=2) as server:
            pids = await server.workers()
            resource.prlimit(pids[1], resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            async with asyncio.timeout(LIMIT):
                while not (await server.ask("version"))["workers"][1]["full"]:
                    with contextlib.suppress(AssertionError, smtplib.SMTPException):
                        await server.send(1)
            assert len(await server.send(MANY)) == MANY
            await server.stop()

    run(main())


def greeted(port):
    """A connection, and the code of its greeting."""
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    return client.recv(100)[:3], client


def test_broken_files_keep_no_worker_away(tmp_path):
    """A worker that ended while the files are broken, or gone, serves what is in force."""

    async def main():
        async with node(tmp_path, workers=2) as server:
            (tmp_path / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
            assert (await server.ask("reload"))["taken"]
            (tmp_path / "domains.toml").write_text("broken")
            (tmp_path / "queues.toml").unlink()
            await server.heard("stays in force")
            await server.kill(0)
            await server.kill(1)
            assert await server.codes("user@example.org") == {250}
            assert await server.codes("user@example.com") == {550}
            assert not [line for line in server.said if "cannot start" in line]
            assert len(list((tmp_path / "spool").glob("configuration-*/*"))) == 1
            assert await server.stop() == 0
        assert not list((tmp_path / "spool").glob("configuration-*"))

    run(main())


def test_an_edit_during_a_reload(tmp_path):
    """What is edited while workers take a change is taken next, and neither change is refused."""

    async def main():
        write(tmp_path)
        (tmp_path / "policy.py").write_text(
            "import os, pathlib\n"
            "from angarium import Policy\n"
            f"folder = pathlib.Path({str(tmp_path)!r})\n"
            "editor = folder / 'editor'\n"
            "if editor.exists() and editor.read_text() == str(os.getppid()):\n"
            "    editor.unlink()\n"
            "    (folder / 'domains.toml').write_text('[\"example.net\"]\\nrelay_to = true\\n')\n"
            "policy = Policy.load('main.toml')\n"
        )
        async with node(tmp_path, entrance="policy.py") as server:
            (tmp_path / "editor").write_text(str((await server.workers())[1]))
            (tmp_path / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
            answer = await server.ask("reload")
            assert answer["taken"]
            await server.heard(f"is in force (before: {answer['hash']})")
            assert await server.codes("user@example.net") == {250}
            assert not [line for line in server.said if "error:" in line]
            assert await server.stop() == 0

    run(main())


def test_what_a_missing_worker_is_told_later(tmp_path):
    """Hold and release are done by those that are there, and by the other before it serves again."""

    async def main():
        write_poisoned(tmp_path)
        async with node(tmp_path, entrance="policy.py") as server:
            await server.send(MANY)
            pids = await server.workers()
            (tmp_path / "poison").touch()
            os.kill(pids[0], signal.SIGKILL)
            await server.heard("worker 0 cannot start")
            with pytest.raises(Refusal, match=r"nothing was done: worker 0 .* suspend or hold"):
                await server.queue("delete", everything=True)
            asked = ("queue", "--socket", tmp_path / "spool/control.sock", "hold", "--all", "--name", "stop")
            held = await asyncio.to_thread(angarium, *asked)
            assert held.returncode == 0
            assert "worker 0 is not there: it is told when it is back" in held.stderr
            elsewhere = await asyncio.to_thread(angarium, *asked[:3], "release", "0" * 32)
            assert (elsewhere.returncode, "when it is back" in elsewhere.stderr) == (0, True)
            (tmp_path / "poison").unlink()
            server.process.send_signal(signal.SIGHUP)
            await server.heard("worker 0 is ready again")
            await server.heard("worker 0: info: hold, as was asked while this worker was not there: done")
            [order] = await server.queue("suspensions")
            assert (order["name"], order["holds"]) == ("stop", MANY)
            assert await server.stop() == 0

    run(main())


def test_what_a_missing_worker_is_told_after_a_restart(tmp_path):
    """What waits for a missing worker is done by it when the whole node was restarted meanwhile."""

    async def main():
        write_poisoned(tmp_path)
        async with node(tmp_path, entrance="policy.py") as server:
            await server.send(MANY)
            assert (await server.queue("hold", everything=True, name="stop"))["count"] == MANY
            pids = await server.workers()
            (tmp_path / "poison").touch()
            os.kill(pids[0], signal.SIGKILL)
            await server.heard("worker 0 cannot start")
            released = await server.queue("release", everything=True)
            assert 0 < released["count"] < MANY
            assert await server.stop() == 0
        (tmp_path / "poison").unlink()
        async with node(tmp_path, entrance="policy.py") as server:
            await server.heard("worker 0: info: release, as was asked while this worker was not there: done")
            [order] = await server.queue("suspensions") or [{"holds": 0}]
            assert order["holds"] == 0
            assert await server.stop() == 0
        assert not list((tmp_path / "spool").glob("owed-*"))

    run(main())


def test_an_order_cancelled_meanwhile_stays_cancelled(tmp_path):
    """An order that a missing worker still has in its spool stands nowhere after a restart."""

    async def main():
        write_poisoned(tmp_path)
        async with node(tmp_path, entrance="policy.py") as server:
            await server.queue("bounce", everything=True, name="stop", seconds=3600.0, reason="r")
            pids = await server.workers()
            (tmp_path / "poison").touch()
            os.kill(pids[0], signal.SIGKILL)
            await server.heard("worker 0 cannot start")
            await server.queue("cancel", what="stop", name="stop")
            assert await server.stop() == 0
        (tmp_path / "poison").unlink()
        async with node(tmp_path, entrance="policy.py") as server:
            await server.workers()
            assert await server.queue("suspensions") == []
            assert await server.stop() == 0

    run(main())


def test_a_spool_that_cannot_be_used(tmp_path):
    """A worker that cannot start keeps the node from starting, and says why; none is left behind."""
    write(tmp_path, workers=2)
    (tmp_path / "spool/1").mkdir(parents=True)
    with Path(tmp_path / "spool/1/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = angarium("run", tmp_path / "main.toml")
    assert done.returncode == 1
    assert "another process uses the spool" in done.stderr
    assert "Traceback" not in done.stderr
    with Path(tmp_path / "spool/0/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_spool_without_room(tmp_path):
    """A worker that cannot accept anything for want of room says so at the start, with folder and option."""

    async def main():
        write(tmp_path)
        main = tmp_path / "main.toml"
        main.write_text(main.read_text().replace("min_free_space = 1\n", "min_free_space = '1000000 GB'\n"))
        async with node(tmp_path) as server:
            line = await server.heard("accepts no mail")
            assert "spool/" in line
            assert "[spool] min_free_space" in line
            assert await server.stop() == 0

    run(main())


def test_the_end_of_the_supervisor(tmp_path):
    """Workers end when their supervisor is no more, and when it stops."""

    async def main():
        async with node(tmp_path, workers=2) as server:
            pids = await server.workers()
            await server.send(4)
            server.process.kill()
            for pid in pids:
                await is_gone(pid)
        async with node(tmp_path) as server:
            pids = await server.workers()
            assert (await server.queue())["messages"] == 4
            assert await server.stop() == 0
            for pid in pids:
                await is_gone(pid)

    run(main())


def test_fewer_and_more_workers(tmp_path):
    """Whatever the number of workers, nothing that waits is left behind, nor any order about it."""

    async def main():
        async with node(tmp_path, workers=3) as server:
            ids = set(await server.send(MANY))
            await server.queue("suspend", selector={"domain": "example.com"}, name="move")
            assert await server.stop() == 0
        assert {"0", "1", "2"} <= {path.name for path in (tmp_path / "spool").iterdir()}
        async with node(tmp_path, workers=1) as server:
            rows = await server.queue(selector={"domain": "example.com"}, limit=1000)
            assert {row["id"] for row in rows} == ids
            assert [order["name"] for order in await server.queue("suspensions")] == ["move"]
            assert await server.stop() == 0
        async with NextHop() as hop:
            route = f"[queue.default]\nrouting_domain = '{hop.route}'\nretry_interval = '1s'\n"
            async with node(tmp_path, workers=2, queues=route) as server:
                assert [order["name"] for order in await server.queue("suspensions")] == ["move"]
                await server.queue("cancel", what="move")
                await server.queue("retry", everything=True)
                await hop.until(lambda: len(hop.taken) == MANY, limit=60)
                assert (await server.queue("suspensions")) == []
                assert await server.stop() == 0
            assert len(hop.taken) == MANY

    run(main())


def test_limits_of_a_site_hold_for_all_workers(tmp_path):
    """With a connection_limit of 1 there is one connection at a time, whichever worker has the mail."""

    async def main():
        async with NextHop() as hop:
            queues = f"[queue.default]\nrouting_domain = '{hop.route}'\nconnection_limit = 1\n"
            async with node(tmp_path, workers=2, queues=queues) as server:
                for _ in range(3):
                    await server.send(MANY)
                await hop.until(lambda: len(hop.taken) == 3 * MANY, limit=60)
                assert hop.most_open == 1
                assert hop.connections > 1, "only one worker had its turn"
                assert await server.stop() == 0
        assert written_by(tmp_path) == {0, 1}

    run(main())


def test_passed_socket(tmp_path):
    """A socket that the service manager passes is everybody's; it is told once, when all are ready."""
    place = tmp_path / "notify"

    async def main(sock, manager):
        listen = f"127.0.0.1:{sock.getsockname()[1]}"
        env = {"NOTIFY_SOCKET": str(place)}
        write(tmp_path, listen=listen)
        async with node(tmp_path, env=env, passed=sock) as server:
            assert manager.recv(100) == b"READY=1"
            assert len(await server.workers()) == 2
            assert await server.codes("user@example.com") == {250}
            assert await server.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"

    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(place))
        manager.settimeout(20)
        run(main(sock, manager))
