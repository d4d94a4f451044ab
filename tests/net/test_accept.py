"""net.accept: sockets that listen, and accepting that no error ends."""

import asyncio
import os
import resource
import socket

import pytest

from angarium.net.accept import Acceptor, BindError, bind, bind_together, split_listen


@pytest.mark.parametrize(
    ("text", "parts"),
    [("127.0.0.1:25", ("127.0.0.1", 25)), ("[::1]:2525", ("::1", 2525)), ("[::]:0", ("::", 0))],
)
def test_split_listen(text, parts):
    """IPv6 addresses stand in brackets."""
    assert split_listen(text) == parts


def test_an_address_in_use():
    """The error says which address and why."""
    with bind("127.0.0.1:0") as sock:
        port = sock.getsockname()[1]
        with pytest.raises(BindError, match=f"127.0.0.1:{port}"):
            bind(f"127.0.0.1:{port}")


def test_accepting_goes_on_after_the_descriptors_ran_out(caplog):
    """EMFILE pauses the listener; what waited is accepted when there are descriptors again (W40)."""

    async def main():
        loop = asyncio.get_running_loop()
        accepted = asyncio.Queue()
        sock = bind("127.0.0.1:0")
        acceptor = Acceptor(sock, accepted.put_nowait)
        client = socket.socket()
        client.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        fillers = [os.dup(0)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (fillers[0] + 1, hard))
        try:
            while True:
                fillers.append(os.dup(0))
        except OSError:
            pass
        try:
            await loop.sock_connect(client, sock.getsockname())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            for filler in fillers:
                os.close(filler)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        async with asyncio.timeout(5):
            server = await accepted.get()
        assert f"cannot accept on 127.0.0.1:{sock.getsockname()[1]}: " in caplog.text
        server.close()
        client.close()
        acceptor.close()

    asyncio.run(main())


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_several_sockets_on_one_port(address):
    """Port 0 is one port for all; the kernel shares connections out among them, and strangers cannot join."""
    socks = bind_together(f"{address}:0", 3)
    names = {sock.getsockname() for sock in socks}
    assert len(names) == 1
    (name,) = names
    clients = [socket.create_connection(name[:2]) for _ in range(60)]
    accepted = [_accept_all(sock) for sock in socks]
    assert sum(accepted) == 60
    assert min(accepted) > 0
    with pytest.raises(BindError, match=f":{name[1]}"):
        bind_together(f"{address}:{name[1]}", 2)
    for sock in (*clients, *socks):
        sock.close()


def _accept_all(sock):
    accepted = 0
    while True:
        try:
            sock.accept()[0].close()
        except BlockingIOError:
            return accepted
        accepted += 1


def test_told_to_go_on_after_its_end():
    """A word that comes too late is no error, and nothing is accepted."""

    async def scenario():
        acceptor = Acceptor(bind("127.0.0.1:0"), lambda sock: None, rests=True)
        acceptor.close()
        acceptor.go_on()

    asyncio.run(scenario())
