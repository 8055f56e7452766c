"""What whoever looks after the security of a network should hear of."""


def security(door, kind, detail):
    """`kind` and `detail` become type and techInfo of OCPP's SecurityEventNotification; neither
    names a token.
    """
    door.record("security", type=kind, detail=detail)
