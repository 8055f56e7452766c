"""What fits MQTT and the link's buffers; imported for that only, see firmware.let_go."""


def check(station_id, topic, keepalive_s, user, password):
    """Raises ValueError for what a Link cannot be made of; `user` and `password` are bytes, or
    None.
    """
    # With a client id, topics, user and password of 600 bytes at most, CONNECT always fits.
    if not station_id or len(topic.encode()) > 100 or any(c in topic for c in "+#\0"):
        raise ValueError("root/station_id/: expected 100 bytes without + # NUL: %r" % topic)
    if not 5 <= keepalive_s < 65536:
        raise ValueError("keepalive_s: expected 5 to 65535, found %r" % keepalive_s)
    if user is not None and (not user or len(user) + len(password) > 400):
        raise ValueError("user, password: expected 1 to 400 bytes together")
