"""queue.fresh, queue.kept_config: what stays in memory, and how a queue's options are kept in the spool."""

from angarium.policy.config import QueueConfig
from angarium.policy.networks import parse_network
from angarium.queue.fresh import Fresh
from angarium.queue.kept_config import pack_config, unpack_config
from angarium.queue.message import Message, Stored


def _message(fresh, size):
    message = Message("0" * 32, 0, None, None)
    stored = Stored(sender=None, recipient="a@b.example", queue="b.example", prefix=b"", size=size)
    message.remember(stored, None, [bytes(size)])
    fresh.add(message, size)
    return message


def test_the_oldest_are_forgotten():
    """Neither their number nor their octets exceed the budget."""
    fresh = Fresh(max_messages=2, max_octets=100)
    first, second = _message(fresh, 10), _message(fresh, 10)
    assert first._content is not None
    third = _message(fresh, 10)
    assert (first._content, second._content is None) == (None, False)
    _message(fresh, 95)
    assert second._content is third._content is None


def test_a_queues_options_come_back():
    """Every option that a handler may set is the same after a restart."""
    config = QueueConfig(
        retry_interval=5,
        max_retry_interval=50,
        max_age=100,
        routing_domain="[127.0.0.1]:25",
        prohibited_hosts=(parse_network("10.0.0.0/8"), parse_network("::1")),
        smtp_port=26,
    )
    assert unpack_config(pack_config(config)) == config
    assert pack_config(QueueConfig()) == {}
    assert unpack_config({"unknown_to_this_version": 1}) == QueueConfig()
