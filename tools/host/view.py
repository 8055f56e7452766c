"""Show a running session: a live view on a terminal, plain lines everywhere else."""

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .session import STATES

COLOURS = {"A": "grey50", "B": "yellow3", "C": "green3", "D": "cyan", "E": "red", "F": "red"}
REFRESH_HZ = 5
STORY_LINES = 11
STRIP = 60
MAX_MA = 32000


class Plain:
    """One line for each thing that happens."""

    def __init__(self, session, *_):
        self.session, self.told = session, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.update()

    def update(self):
        """Print what is new in the story."""
        for t_s, sentence in self.session.story[self.told:]:
            print("%6.2f s  %s" % (t_s, sentence), flush=True)
        self.told = len(self.session.story)


def pairs(rows):
    """A two-column table of names and values."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="grey62", min_width=11, no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True)
    for name, value in rows:
        table.add_row(name, value)
    return table


def bar(value, full, width, colour):
    """A horizontal bar of `width` characters."""
    filled = max(0, min(width, round(width * value / full)))
    return Text("━" * filled, colour) + Text("━" * (width - filled), "grey23")


class Rich:
    """The live view; fits a terminal of 80 by 24."""

    def __init__(self, session, backend, station, broker, until_s):
        self.session, self.backend, self.station = session, backend, station
        self.broker, self.until_s = broker, until_s
        self.live = Live(console=Console(), auto_refresh=False, transient=False)

    def __enter__(self):
        self.live.__enter__()
        return self

    def __exit__(self, *failure):
        self.update()
        self.live.__exit__(*failure)

    def update(self):
        """Draw the present state."""
        self.live.update(self.draw(), refresh=True)

    def draw(self):
        """The whole view as one renderable."""
        sides = Table.grid(expand=True)
        sides.add_column(ratio=1)
        sides.add_column(ratio=1)
        sides.add_row(Panel(self.pile(), title="Pile", title_align="left", border_style="grey37"),
                      Panel(self.line(), title="Backend", title_align="left",
                            border_style="grey37"))
        return Group(self.head(), sides,
                     Panel(self.story(), title="What happens", title_align="left",
                           border_style="grey37"),
                     self.strip())

    def head(self):
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        interpreter = self.session.interpreter
        head.add_row(Text(" Voltpile  a session on the virtual AC pile", "bold"),
                     Text("%s " % (" ".join((interpreter["name"], interpreter["version"]))
                                   if interpreter else "starting"), "grey62"))
        return head

    def pile(self):
        now = self.session.now
        state = now["state"]
        closed = Text("closed", "bold green3") if now["closed"] else Text("open", "grey62")
        return pairs((
            ("State", Text("%s  %s" % (state, STATES.get(state, "")),
                           COLOURS.get(state[0], "white"))),
            ("Contactor", closed),
            ("Offered", Text("%5.1f A  " % (now["offered_ma"] / 1000))
             + bar(now["offered_ma"], MAX_MA, 13, "steel_blue1")),
            ("Drawn", Text("%5.1f A  " % (now["current_ma"] / 1000))
             + bar(now["current_ma"], MAX_MA, 13, "green3")),
            ("Energy", Text("%5.1f Wh" % (now["energy_mwh"] / 1000), "bold")),
        ))

    def line(self):
        session = self.session
        invalid = len(self.backend.invalid)
        calls = self.backend.calls("TransactionEvent", self.station)
        kind = "%s, %d events" % (calls[-1]["eventType"], len(calls)) if calls else "none yet"
        return pairs((
            ("Broker", Text(self.broker)),
            ("Line", Text("up", "green3") if session.line_up else Text("down", "grey62")),
            ("Sent", Text(str(len(session.sent)))),
            ("Answered", Text("%d  " % len(session.acked))
             + Text("%d invalid" % invalid, "red" if invalid else "grey62")),
            ("Transaction", Text(kind)),
        ))

    def story(self):
        lines = [Text("%6.2f s  " % t_s, "grey62") + Text(sentence, "default")
                 for t_s, sentence in self.session.story[-STORY_LINES:]]
        lines += [Text("")] * (STORY_LINES - len(lines))
        return Group(*lines)

    def strip(self):
        """The session's progress: each cell has the colour of the state at its time."""
        cells = Text(" ")
        states, at, state = self.session.states, 0, "A1"
        for cell in range(STRIP):
            t_s = (cell + 1) * self.until_s / STRIP
            if t_s > self.session.t_s:
                cells.append("━", "grey23")
                continue
            while at < len(states) and states[at][0] <= t_s:
                state = states[at][1]
                at += 1
            cells.append("█", COLOURS.get(state[0], "white"))
        cells.append("  %4.1f of %.0f s" % (min(self.session.t_s, self.until_s), self.until_s),
                     "grey62")
        return cells


def view(live, *args):
    """The right view: the live one only where a terminal can show it."""
    return Rich(*args) if live and Console().is_terminal else Plain(*args)
