"""Across a network that loses packets and is cut: what was answered 250 arrives (issue 6, demand 11)."""

import asyncio
import contextlib
import ctypes
import os
import re
import subprocess

import pytest

from angarium.testing.nexthop import NextHop
from tests.queue.killed import Senders, Server

NEWNET = 0x40000000
HERE, THERE = "angarium-a", "angarium-b"
ADDRESS, HOP = "10.199.0.1", "10.199.0.2"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def enter(path):
    """This thread's new sockets, and its children, are in that namespace from now on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)


@pytest.fixture(params=[0, 5], ids=["cut", "cut-and-loss"])
def link(request):
    """Two namespaces with a link between them that loses so many packets in a hundred."""
    try:
        with contextlib.ExitStack() as undo:
            for name in (HERE, THERE):
                ip("netns", "add", name)
                undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
            ip("link", "add", "va", "netns", HERE, "type", "veth", "peer", "name", "vb", "netns", THERE)
            for name, device, address in ((HERE, "va", ADDRESS), (THERE, "vb", HOP)):
                ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
                ip("-n", name, "link", "set", device, "up")
                ip("-n", name, "link", "set", "lo", "up")
            if request.param:
                netem = f"tc -n {HERE} qdisc add dev va root netem loss {request.param}% delay 2ms"
                subprocess.run(netem.split(), check=True, capture_output=True)
            home = f"/proc/{os.getpid()}/ns/net"
            original = os.open(home, os.O_RDONLY)
            undo.callback(os.close, original)
            undo.callback(enter, f"/proc/self/fd/{original}")
            yield
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here: {error}")


def test_loss_and_a_cut_link(link, tmp_path):
    """Packets get lost, the link is cut, the server is killed meanwhile: all that was promised arrives."""
    arrivals = {}

    def take(taken):
        number = int(re.search(rb"X-Number: (\d+)", taken.content)[1])
        arrivals[number] = arrivals.get(number, 0) + 1

    async def main():
        enter(f"/run/netns/{THERE}")
        hop = NextHop(host=HOP)
        await hop.__aenter__()
        enter(f"/run/netns/{HERE}")
        hop.take = take
        server, senders = Server(tmp_path, "127.0.0.1:2525", hop.route), Senders("127.0.0.1", 2525)
        await server.start()
        traffic = asyncio.create_task(senders.run(4))
        await asyncio.sleep(1)
        await asyncio.to_thread(ip, "-n", THERE, "link", "set", "vb", "down")
        await asyncio.sleep(0.5)
        await server.kill()
        await server.start()
        await asyncio.to_thread(ip, "-n", THERE, "link", "set", "vb", "up")
        await asyncio.sleep(1)
        senders.stop()
        await traffic
        await hop.until(lambda: not senders.promised.keys() - arrivals.keys(), limit=60)
        await server.stop()
        await hop.__aexit__()
        return len(senders.promised)

    promised = asyncio.run(main())
    assert promised > 20
    assert sum(arrivals.values()) - len(arrivals) < promised / 2
