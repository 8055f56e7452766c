"""What the emulations at a serial line share: a byte takes its time on the wire, both ways."""


class SerialChip:
    """The line as a controller sees it, `any`, `readinto` and `write`, never blocking; a chip says
    with `_heard(data, t_us)` what it does with what was written, whose last bit arrived at `t_us`,
    and answers with `_say`.

    `silent` = True: it neither hears nor speaks. `bits`: of a byte on the wire, 10 for 8N1, 11 for
    8E1. `echo` = True: a half-duplex transceiver gives back what the controller itself sends.
    """

    def __init__(self, plant, baud, bits=10):
        self.plant = plant
        self.silent = False
        self.echo = False
        self._byte_us = bits * 1000000 // baud
        self._bursts = []  # [when its next byte has arrived, bytes], in the order of time
        self._sent_us = 0  # the last bit that was written

    def any(self):
        """How many bytes have arrived and were not read."""
        if self.silent:
            self._bursts = []
        n = 0
        for at_us, data in self._bursts:
            n += max(min((self.plant.now_us - at_us) // self._byte_us + 1, len(data)), 0)
        return n

    def readinto(self, into, nbytes=None):
        """As machine.UART with a timeout of 0: the bytes read, None when there are none."""
        n = min(self.any(), len(into) if nbytes is None else nbytes)
        i = 0
        while i < n:
            burst = self._bursts[0]
            take = min(n - i, len(burst[1]))
            into[i : i + take] = burst[1][:take]
            i += take
            burst[0] += take * self._byte_us
            burst[1] = burst[1][take:]
            if not burst[1]:
                self._bursts.pop(0)
        return n or None

    def write(self, data):
        """All of `data` goes out, after what is still on its way; returns its length."""
        from_us = max(self.plant.now_us, self._sent_us)
        self._sent_us = from_us + len(data) * self._byte_us
        if self.echo:
            self._bursts.append([from_us + self._byte_us, bytes(data)])
        if self.plant.powered and not self.silent:
            self._heard(bytes(data), self._sent_us)
        return len(data)

    def _say(self, data, t_us):
        # `data` goes out from `t_us` on, or when what is on its way is out.
        if self.silent or not self.plant.powered or not data:
            return
        if self._bursts:
            last = self._bursts[-1]
            t_us = max(t_us, last[0] + (len(last[1]) - 1) * self._byte_us)
        self._bursts.append([t_us + self._byte_us, bytes(data)])

    def _hush(self):
        # What was to go out stays unsaid.
        self._bursts = []

    def _heard(self, data, t_us):
        pass
