"""An MQTT broker inside this process (amqtt), for those who have none at hand."""

import contextlib
import logging
import socket


@contextlib.asynccontextmanager
async def embedded():
    """Run a broker on a free port of the loopback interface; yields (host, port)."""
    from amqtt.broker import Broker  # takes half a second, which --broker need not spend

    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "%s:%d" % (host, port)}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    try:
        yield host, port
    finally:
        await broker.shutdown()
