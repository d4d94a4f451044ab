"""P13: changing a file takes effect without a restart; a broken file never does."""

import pytest

from angarium.policy.config import ConfigError

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
OPEN = '["elsewhere.example"]\nrelay_to = true\n'


def test_a_change_holds_from_the_next_command_on(serve):
    """An open session is judged by the new rules, in both directions; records name the configuration."""

    async def test(house):
        client = await house.stranger()
        [before] = await client.begin(SENDER, OUT)
        house.take(domains=OPEN)
        after = await client.say(f"RCPT TO:<{OUT}>")
        assert (before[:3], after[:3]) == ("550", "250")
        await client.content()
        await house.arrived()
        assert house.records("Reception")[0]["decided_by"]["config"] != house.configuration.hash
        house.take(domains="# nothing\n")
        assert (await client.begin(SENDER, OUT))[0].startswith("550 5.7.1")

    serve(test)


def test_a_broken_file_changes_nothing(serve):
    """The last good version stays in force."""

    async def test(house):
        client = await house.stranger()
        with pytest.raises(ConfigError, match="relay_too"):
            house.take(domains=OPEN.replace("relay_to", "relay_too"))
        assert (await client.send(SENDER, OUT)).startswith("250")
        await house.arrived()

    serve(test, domains=OPEN)


def test_a_new_route_reaches_what_waits(serve):
    """Messages that wait take the options of the configuration then in force."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        await house.wait_for("TransientFailure")
        [message] = house.shard.scheduler
        house.take(queues="[queue.default]\nrouting_domain = '$hop'\n")
        house.shard.scheduler.retry_now(message)
        await house.arrived()

    serve(test, queues="[queue.default]\nrouting_domain = '[127.0.0.9]:1'\n")
