"""Across a network that loses packets and is cut: what was answered 250 arrives (issue 6, demand 11)."""

import asyncio
import contextlib
import ctypes
import os
import re
import shlex
import subprocess

import pytest

from angarium.testing.nexthop import NextHop
from tests.queue.killed import Senders, Server

NEWNET = 0x40000000
HERE, THERE = "angarium-a", "angarium-b"
ADDRESS, HOP = "10.199.0.1", "10.199.0.2"


def run(command):
    subprocess.run(shlex.split(command), check=True, capture_output=True)


def enter(path):
    """This thread's new sockets, and its children, are in that namespace from now on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)


def lose_nothing():
    """The link is only cut."""


def lose_packets():
    """Each end loses what arrives at it, five packets in a hundred, in the kernel's packet filter."""
    for name, device in ((HERE, "va"), (THERE, "vb")):
        hook = f"type filter hook ingress device {device} priority 0;"
        rules = (
            "add table netdev loss",
            f"add chain netdev loss arriving {{ {hook} }}",
            "add rule netdev loss arriving numgen random mod 100 < 5 drop",
        )
        run(f"ip netns exec {name} nft '{'; '.join(rules)}'")


def lose_and_delay():
    """One end loses and delays what it sends; few small kernels can do that."""
    run(f"tc -n {HERE} qdisc add dev va root netem loss 5% delay 2ms")


@pytest.fixture(params=[lose_nothing, lose_packets, lose_and_delay], ids=lambda trouble: trouble.__name__)
def link(request):
    """Two namespaces with a link between them that is in some trouble."""
    try:
        with contextlib.ExitStack() as undo:
            for name in (HERE, THERE):
                run(f"ip netns add {name}")
                undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
            run(f"ip link add va netns {HERE} type veth peer name vb netns {THERE}")
            for name, device, address in ((HERE, "va", ADDRESS), (THERE, "vb", HOP)):
                run(f"ip -n {name} addr add {address}/24 dev {device}")
                for each in (device, "lo"):
                    run(f"ip -n {name} link set {each} up")
            request.param()
            original = os.open(f"/proc/{os.getpid()}/ns/net", os.O_RDONLY)
            undo.callback(os.close, original)
            undo.callback(enter, f"/proc/self/fd/{original}")
            yield
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this kernel cannot: {error.stderr.decode().strip()}")


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
        await asyncio.to_thread(run, f"ip -n {THERE} link set vb down")
        await asyncio.sleep(0.5)
        await server.kill()
        await server.start()
        await asyncio.to_thread(run, f"ip -n {THERE} link set vb up")
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
