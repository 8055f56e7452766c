"""A CAN bus between emulated controllers, and a plain node for tests and emulated devices.

Frames take their time, the lowest identifier wins, one that nobody acknowledges is sent again, and
a disturbed one raises the error counters (ISO 11898-1). Nothing happens but when somebody asks:
each node calls `run` before it changes or tells anything.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAG_RTR = 1
FLAG_EXT_ID = 2

_ERROR_BITS = 20  # error flag, delimiter, pause
_RECOVERY_BITS = 128 * 11


def arbitration(number, flags):
    """What a frame puts on the bus first, as a number: the lower one wins."""
    remote = flags & FLAG_RTR
    if flags & FLAG_EXT_ID:
        return (number >> 18) << 21 | 3 << 19 | (number & 0x3FFFF) << 1 | remote
    return number << 21 | remote << 20


def bits(flags, n):
    """The length of a frame with `n` bytes and the pause after it, with some stuffing."""
    length = (67 if flags & FLAG_EXT_ID else 47) + (0 if flags & FLAG_RTR else 8 * n)
    return length + length // 10


class CanBus:
    """`bitrate` is that of its nodes that are set up right. `jam` frames from now on are
    disturbed; while `cut`, no node hears another. `record`: (us, identifier, flags, data) of each
    frame that got through, newest last, at most 200.
    """

    def __init__(self, plant, bitrate):
        self._plant = plant
        self.bitrate = bitrate
        self.jam = 0
        self.cut = False
        self.record = []
        self._nodes = []
        self._free_us = 0  # when the bus is free again
        self._sender: "Any" = None  # while a frame is under way
        self._frame: "Any" = None

    def join(self, node):
        """Wire `node` to the bus."""
        self._nodes.append(node)

    def us(self, n):
        """The time of `n` bits."""
        return (n * 1000000 + self.bitrate - 1) // self.bitrate

    def run(self):
        """Let happen what is due by now."""
        now_us = self._plant.now_us
        while True:
            if self._sender:
                if self._free_us > now_us:
                    return
                self._end()
            elif not self._start(max(self._free_us, 0), now_us):
                return

    def _start(self, from_us, now_us):
        # Begin the next frame, if one waits; whether there is one that ends by now.
        sender = None
        start_us = from_us
        lowest = 0
        for node in self._nodes:
            since_us, frame = node.offer(from_us)
            if frame is None:
                continue
            key = arbitration(frame[0], frame[1])
            at_us = max(since_us, from_us)
            if sender is None or at_us < start_us or (at_us == start_us and key < lowest):
                sender = node
                lowest = key
                start_us = at_us
                self._frame = frame
        if sender is None or start_us > now_us:
            return False
        for node in self._nodes:
            if node is not sender:
                since_us, frame = node.offer(from_us)
                if frame is not None and since_us <= start_us:
                    node.lost()
        sender.began()
        self._sender = sender
        self._free_us = start_us + self.us(bits(self._frame[1], len(self._frame[2])))
        return True

    def _end(self):
        sender = self._sender
        frame = self._frame
        self._sender = self._frame = None
        at_us = self._free_us
        others = [] if self.cut else [node for node in self._nodes if node is not sender]
        disturbed = self.jam > 0 or sender.broke_off() or sender.bitrate() != self.bitrate
        if self.jam > 0:
            self.jam -= 1
        acknowledged = False
        for node in others:
            if node.acknowledges():
                if node.bitrate() != self.bitrate:
                    disturbed = True  # it sees an error where there is none, and says so
                else:
                    acknowledged = True
        if disturbed:
            for node in others:
                node.disturbed()
        if disturbed or not acknowledged:
            self._free_us += self.us(_ERROR_BITS)
            sender.failed(self._free_us, disturbed, self._free_us + self.us(_RECOVERY_BITS))
            return
        if len(self.record) >= 200:
            self.record.pop(0)
        self.record.append((at_us,) + frame)
        for node in others:
            if node.bitrate() == self.bitrate:
                node.heard(frame)
        sender.sent()


class Node:
    """A device on the bus: `send` frames, and find those of others in `frames`, or have each
    handed to `on_frame(identifier, flags, data)`.
    """

    def __init__(self, plant, bus):
        self._plant = plant
        self._bus = bus
        self._queue = []
        self.frames = []
        self.on_frame = None
        self.failures = 0
        bus.join(self)

    def send(self, number, data, flags=FLAG_EXT_ID):
        """Queue a frame."""
        self._bus.run()
        self._queue.append((self._plant.now_us, (number, flags, bytes(data))))

    def bitrate(self):
        return self._bus.bitrate

    def acknowledges(self):
        return True

    def offer(self, at_us):
        """(since when, frame), of what waits to be sent."""
        return self._queue[0] if self._queue else (0, None)

    def began(self):
        pass

    def broke_off(self):
        return False

    def sent(self):
        self._queue.pop(0)

    def failed(self, at_us, disturbed, recovered_us):
        self.failures += 1

    def lost(self):
        pass

    def disturbed(self):
        pass

    def heard(self, frame):
        if self.on_frame:
            self.on_frame(*frame)
        else:
            self.frames.append(frame)
