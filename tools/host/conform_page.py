"""conformance.html: one file, no network, a row per requirement with a plot to open."""

import html
import json

from . import requirements
from .picture import BANDS, BLUE, GREEN, GRID, INK, ORANGE, PURPLE

RED = "#b3362c"
WIDTH, HEIGHT = 560, 250
LEFT, RIGHT = 78, 8
# Each strip of a plot: (name, unit, top, bottom, least value, greatest value).
STATES, PILOT, DUTY, CONTACTOR, CURRENT = (
    ("state", "", 30, 44, 0, 1),
    ("pilot", "V", 54, 136, -13, 13),
    ("duty", "%", 148, 182, 0, 100),
    ("contactor", "", 192, 206, 0, 1),
    ("current", "A", 214, 236, 0, 1),
)
STRIPS = (STATES, PILOT, DUTY, CONTACTOR, CURRENT)
MOST_LABELS = 9


class Curve:
    """A stepwise signal in the trace: its value from each change on."""

    def __init__(self, first):
        self.points = [(0, first)]

    def to(self, t_us, value):
        """From `t_us` on it is `value`."""
        if value != self.points[-1][1]:
            self.points.append((t_us, value))

    def pieces(self, begin_us, end_us):
        """(from, to, value) for each stretch that can be seen in the window."""
        ends = [t_us for t_us, _ in self.points[1:]] + [end_us]
        for (since, value), until in zip(self.points, ends, strict=True):
            since, until = max(since, begin_us), min(until, end_us)
            if since < until:
                yield since, until, value


class Signals:
    """The first outlet's pilot, duty, contactor and current over time, from a watched trace."""

    def __init__(self, trace):
        self.high, self.low = Curve(12.0), Curve(12.0)
        self.duty, self.state = Curve(100.0), Curve("A1")
        self.command, self.closed = Curve(False), Curve(False)
        self.current = Curve(0.0)
        self.steps = []
        high, low, permille = 12.0, -12.0, 1000
        for line in trace:
            if line.get("outlet", 1) > 1:
                continue
            t_us, what = line["t_us"], line["what"]
            if what == "step":
                self.steps.append((t_us, line["step"]))
            elif what == "state":
                self.state.to(t_us, line["value"])
            elif what == "contactor":
                self.command.to(t_us, line["command"])
                self.closed.to(t_us, line["closed"])
            elif what == "current":
                self.current.to(t_us, line["ma"] / 1000)
            elif what in ("pilot", "duty"):
                if what == "pilot":
                    high, low = line["high_mv"] / 1000, line["low_mv"] / 1000
                else:
                    permille = line["permille"]
                    self.duty.to(t_us, permille / 10)
                self.high.to(t_us, high if permille else low)
                self.low.to(t_us, low if permille < 1000 else high)
        self.end_us = trace[-1]["t_us"] if trace else 1


WORDS = {"ready": "asks (C)", "pause": "S2 opens", "vent": "asks (D)", "cp_short": "CP-PE short",
         "rcd": "residual current", "adc_freeze": "samples freeze"}


def label(step):
    """A step in two words."""
    do = step["do"]
    told = WORDS.get(do, do.replace("_", " "))
    if step.get("fault") is False or do == "diode" and step.get("ok"):
        return told + " ends"
    for name in ("value", "ma", "c", "v", "for_ms"):
        if step.get(name) is not None and not (name == "v" and step.get("hz", 50) != 50):
            return "%s %g%s" % (told, step[name], {"value": " Ω", "ma": " mA", "c": " °C",
                                                   "v": " V", "for_ms": " ms"}[name])
    return told + (" %g Hz" % step["hz"] if do == "mains" else "")


def seconds(us):
    """A time in ms or s, as is short."""
    return "%.4g ms" % (us / 1000) if abs(us) < 1_000_000 else "%.4g s" % (us / 1e6)


def ticks(begin_us, end_us):
    """Round times in a window, four to nine of them."""
    step = 1
    while (end_us - begin_us) / step > 9:
        step *= 5 if str(step)[0] in "1" else 2
    return range(-(-begin_us // step) * step, end_us + 1, step)


class Plot:
    """The plot of a run within a window of time, as SVG."""

    def __init__(self, signals, begin_us, end_us, title, origin_us=0):
        self.signals, self.begin_us, self.end_us = signals, begin_us, max(end_us, begin_us + 1)
        self.title, self.origin_us = title, origin_us
        self.parts = []

    def x(self, t_us):
        """Where a time lies."""
        share = (t_us - self.begin_us) / (self.end_us - self.begin_us)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def add(self, text, *values):
        """Add a piece of SVG."""
        self.parts.append(text % values)

    def line(self, curve, strip, color, width=1.5, most=None):
        """A curve as a stepped line."""
        _, _, top, bottom, low, high = strip
        high = most or high
        points = []
        for begin, end, value in curve.pieces(self.begin_us, self.end_us):
            y = bottom - (value - low) / (high - low) * (bottom - top)
            points.append("%.1f,%.1f %.1f,%.1f" % (self.x(begin), y, self.x(end), y))
        self.add('<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"/>',
                 " ".join(points), color, width)

    def band(self, curve, strip, color, text):
        """A curve as colored stretches with words in them."""
        _, _, top, bottom, _, _ = strip
        for begin, end, value in curve.pieces(self.begin_us, self.end_us):
            x, width = self.x(begin), self.x(end) - self.x(begin)
            self.add('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>', x, top,
                     max(width, 0.6), bottom - top, color(value))
            word = text(value)
            if width > 7 * len(word):
                self.add('<text x="%.1f" y="%d" text-anchor="middle" class="w">%s</text>',
                         x + width / 2, bottom - 3.5, word)

    def svg(self, span=None):
        """The whole plot; `span` (begin, end in us) is what was measured."""
        signals = self.signals
        bottom = CURRENT[3]
        if span:
            x, end = self.x(span[0]), self.x(span[1])
            self.add('<rect x="%.1f" y="24" width="%.1f" height="%d" fill="%s" opacity=".16"/>', x,
                     max(end - x, 1), bottom - 24, ORANGE)
        for name, unit, top, low, _, _ in STRIPS:
            self.add('<text x="%d" y="%.1f" text-anchor="end" class="n">%s%s</text>', LEFT - 24,
                     (top + low) / 2 + 4, name, " " + unit if unit else "")
        for volt in (12, 9, 6, 3, 0, -12):
            y = PILOT[3] - (volt + 13) / 26 * (PILOT[3] - PILOT[2])
            self.add('<path d="M%d %.1fH%d" stroke="%s"/>', LEFT, y, WIDTH - RIGHT, GRID)
            self.add('<text x="%d" y="%.1f" text-anchor="end" class="t">%d</text>', LEFT - 4,
                     y + 3.5, volt)
        for percent in (0, 100):
            y = DUTY[3] - percent / 100 * (DUTY[3] - DUTY[2])
            self.add('<path d="M%d %.1fH%d" stroke="%s"/>', LEFT, y, WIDTH - RIGHT, GRID)
            self.add('<text x="%d" y="%.1f" text-anchor="end" class="t">%d</text>', LEFT - 4,
                     y + 3.5, percent)
        self.steps()
        self.band(signals.state, STATES, lambda value: BANDS[value[0]], str)
        self.line(signals.low, PILOT, PURPLE, 1.2)
        self.line(signals.high, PILOT, BLUE, 1.8)
        self.line(signals.duty, DUTY, PURPLE)
        self.contactor()
        most = max([value for _, _, value in signals.current.pieces(self.begin_us, self.end_us)]
                   + [1])
        self.add('<text x="%d" y="%d" text-anchor="end" class="t">%.3g</text>', LEFT - 4,
                 CURRENT[2] + 5, most)
        self.line(signals.current, CURRENT, GREEN, 1.5, most)
        for t_us in ticks(int(self.begin_us - self.origin_us), int(self.end_us - self.origin_us)):
            x = self.x(t_us + self.origin_us)
            self.add('<path d="M%.1f %dv3" stroke="#9aa7b3"/>', x, CURRENT[3] + 2)
            if x < WIDTH - RIGHT - 12:
                self.add('<text x="%.1f" y="%d" text-anchor="middle" class="t">%s</text>', x,
                         HEIGHT - 1, seconds(t_us) if t_us else "0")
        return ('<figure><figcaption>%s</figcaption><svg viewBox="0 0 %d %d" role="img">%s</svg>'
                '</figure>' % (html.escape(self.title), WIDTH, HEIGHT, "".join(self.parts)))

    def contactor(self):
        # The metal as a band, the drive pin as a line above it: the two differ while it moves.
        self.band(self.signals.closed, CONTACTOR, lambda on: GREEN if on else "#eceff2",
                  lambda on: "closed" if on else "open")
        for begin, end, on in self.signals.command.pieces(self.begin_us, self.end_us):
            if on:
                self.add('<rect x="%.1f" y="%d" width="%.1f" height="3" fill="%s"/>',
                         self.x(begin), CONTACTOR[2] - 5, self.x(end) - self.x(begin), INK)

    def steps(self):
        # A dotted line at each step; words where they find room.
        seen = [(t_us, step) for t_us, step in self.signals.steps
                if self.begin_us <= t_us <= self.end_us]
        free = [LEFT - 4, LEFT - 4]  # how far right each of the two lines of words is taken
        quiet = len(seen) > MOST_LABELS
        last = None
        for t_us, step in seen:
            x = self.x(t_us)
            self.add('<path d="M%.1f 24V%d" stroke="#9aa7b3" stroke-dasharray="2 3" '
                     'stroke-width=".7"/>', x, CURRENT[3])
            if quiet and last is not None and step["do"] == last:
                continue
            last = step["do"]
            word = label(step) + (" ..." if quiet else "")
            x = min(x, WIDTH - RIGHT - 5.2 * len(word))
            for row in (1, 0):
                if free[row] <= x:
                    free[row] = x + 5.2 * len(word) + 4
                    self.add('<text x="%.1f" y="%d" class="t">%s</text>', x, 10 + 11 * row,
                             html.escape(word))
                    break


def plots(run):
    """The plots of a run: the whole of it, and what was measured from close by."""
    signals = Signals(run.trace)
    spans = [(value.begin_us, value.end_us) for value in run.values if hasattr(value, "end_us")]
    shown = Plot(signals, 0, signals.end_us, "the whole run")
    if not spans:
        return shown.svg()
    # of several the one that is worst
    most = run.requirement.most
    span = (max if most is not None else min)(spans, key=lambda one: one[1] - one[0])
    wide = max(span[1] - span[0], 2000)
    begin, end = max(0, span[0] - 0.6 * wide), min(signals.end_us, span[1] + 0.6 * wide)
    if end - begin > 0.7 * signals.end_us:
        return shown.svg(span)
    close = Plot(signals, begin, end, "what was measured: %s" % seconds(span[1] - span[0]),
                 span[0])
    return shown.svg(span) + close.svg(span)


def number(value):
    """A measured value for humans."""
    if value is None:
        return "-"
    return "%d" % value if value == int(value) else "%.2f" % value if value < 100 \
        else "%.1f" % value


def gauge(result):
    """The measured span against the limit, as a small SVG."""
    least, most = result.span()
    if least is None:
        return ""
    low, high = result.requirement.least, result.requirement.most
    end = max(filter(None, (high and high * 1.15, low and low * 1.15, most * 1.1)), default=1)
    begin = 0
    if low is not None and high is not None and high > low:
        begin = min(low - 0.6 * (high - low), least)
        end = max(high + 0.6 * (high - low), most)

    def x(value):
        return 3 + (value - begin) / ((end - begin) or 1) * 114

    color = GREEN if result.passed else RED
    allowed_from, allowed_to = x(begin if low is None else low), x(end if high is None else high)
    return ('<svg viewBox="0 0 120 16" class="g"><rect x="3" y="7" width="114" height="2" '
            'fill="#e3e8ec"/><rect x="%.1f" y="4" width="%.1f" height="8" rx="2" fill="%s" '
            'opacity=".22"/><rect x="%.1f" y="2" width="%.1f" height="12" rx="1.5" fill="%s"/>'
            '</svg>' % (allowed_from, max(allowed_to - allowed_from, 1.5), GREEN,
                        x(least) - 1.5, x(most) - x(least) + 3, color))


def details(result):
    """What opens below a row."""
    if result.open:
        return "<p>Not simulated yet: %s.</p>" % html.escape(result.open)
    run = result.shown
    lines = []
    for profile in result.requirement.profiles:
        least, most = result.span(profile)
        runs = [one for one in result.runs if one.profile == profile]
        lines.append("<tr><td>%s</td><td>%d</td><td>%d</td><td>%s</td><td>%s</td></tr>" % (
            profile, len(runs), sum(not one.passed for one in runs), number(least), number(most)))
    scenario = dict(run.job["scenario"])
    problem = "<p class=bad>%s</p>" % html.escape(run.problem) if run.problem else ""
    return DETAILS % (problem, plots(run), "".join(lines), run.profile, scenario["seed"],
                      html.escape(scenario_text(scenario)))


def scenario_text(scenario):
    """A scenario as JSON with a line per step."""
    rest = {name: value for name, value in scenario.items() if name != "steps"}
    steps = ",\n".join("  " + json.dumps(one) for one in scenario["steps"])
    return '%s,\n "steps": [\n%s]}' % (json.dumps(rest)[:-1], steps)


def row(result):
    """A requirement's row."""
    requirement = result.requirement
    kind = {True: "pass", False: "fail", None: "open"}[result.passed]
    least, most = result.span()
    cells = (kind, requirement.id, kind, requirement.id, requirement.text, requirement.clause,
             requirement.limit, number(least), number(most))
    return ROW % (*map(html.escape, cells), gauge(result), details(result))


def page(results, told):
    """The whole page for the results; `told` says how they were made."""
    numbers = {kind: sum(result.passed is value for result in results)
               for kind, value in (("pass", True), ("fail", False), ("open", None))}
    parts = []
    for title, those in requirements.SECTIONS.items():
        rows = [row(result) for result in results if result.requirement in those]
        if rows:
            parts.append(HEAD % html.escape(title) + "".join(rows))
    tiles = "".join('<button data-k="%s" class="%s"><strong>%d</strong> %s</button>'
                    % (kind, kind, number, word) for kind, number, word in (
                        ("", len(results), "requirements"), ("pass", numbers["pass"], "pass"),
                        ("fail", numbers["fail"], "fail"),
                        ("open", numbers["open"], "open: not simulated yet")))
    return PAGE % {"style": STYLE, "script": SCRIPT, "told": html.escape(told), "tiles": tiles,
                   "body": "".join(parts)}


STYLE = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#22303c;
background:#f6f7f9}
main{max-width:1240px;margin:0 auto;padding:32px 24px 80px}
h1{font-size:26px;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:16px;margin:34px 0 6px}
p{margin:4px 0}
.told{color:#6b7a88;max-width:90ch}
.tiles{display:flex;gap:10px;margin:20px 0 0;flex-wrap:wrap}
.tiles button{font:inherit;border:1px solid #dde3e8;border-radius:10px;background:#fff;
padding:8px 16px;cursor:pointer;color:inherit}
.tiles button.on{border-color:#22303c;box-shadow:0 0 0 1px #22303c}
.tiles strong{font-size:20px;margin-right:4px}
.tiles .pass strong{color:#2b7f4b}.tiles .fail strong{color:#b3362c}
.tiles .open strong{color:#6b7a88}
.r{background:#fff;border:1px solid #e3e8ec;border-top:0}
.head+.r{border-radius:10px 10px 0 0;border-top:1px solid #e3e8ec}
.r:last-of-type{border-radius:0 0 10px 10px}
summary{list-style:none;cursor:pointer}
summary::-webkit-details-marker{display:none}
.r>summary,.head{display:grid;grid-template-columns:52px 128px minmax(220px,1fr) 150px 76px 76px
124px;gap:10px;align-items:center;padding:8px 14px}
.r>summary:hover{background:#f3f6f9}
.r[open]>summary{background:#eef3f8}
.head{color:#6b7a88;font-size:12px;padding-bottom:4px;padding-top:2px}
.head span:nth-child(5),.head span:nth-child(6){text-align:right}
.k{font-size:11px;font-weight:600;text-align:center;border-radius:9px;padding:1px 0;
text-transform:uppercase;letter-spacing:.03em}
.pass .k{background:#dff1e5;color:#226c3f}.fail .k{background:#f7dedb;color:#b3362c}
.open .k{background:#e9edf0;color:#6b7a88}
.i{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.x small{display:block;color:#6b7a88}
.open .x{color:#6b7a88}
.v{text-align:right;font-variant-numeric:tabular-nums}
.fail .v{color:#b3362c;font-weight:600}
.g{width:120px;height:16px;display:block}
.d{padding:8px 14px 16px;border-top:1px solid #e3e8ec}
.plots{display:flex;flex-wrap:wrap;gap:12px}
figure{margin:0;flex:1 1 480px;max-width:640px}
figcaption{font-size:12px;color:#6b7a88;padding-left:4px}
figure svg{width:100%;display:block}
.n{font-size:9.5px;fill:#6b7a88}
.t{font-size:9px;fill:#6b7a88}
.w{font-size:9.5px;fill:#22303c;font-weight:600}
.below{display:flex;gap:32px;margin-top:10px;flex-wrap:wrap;font-size:13px}
table{border-collapse:collapse}
td,th{text-align:right;padding:1px 14px 1px 0;font-variant-numeric:tabular-nums;font-weight:400}
th{color:#6b7a88}td:first-child,th:first-child{text-align:left}
pre{background:#f6f7f9;padding:8px 10px;border-radius:6px;overflow:auto;max-width:760px;
font-size:11.5px;white-space:pre-wrap}
.below summary{color:#2f6fb0}
.bad{color:#b3362c;font-weight:600}
main[data-only=pass] .r:not(.pass),main[data-only=fail] .r:not(.fail),
main[data-only=open] .r:not(.open){display:none}
.legend{display:flex;gap:18px;flex-wrap:wrap;color:#6b7a88;font-size:12px;margin-top:14px}
.legend i{display:inline-block;width:18px;height:3px;vertical-align:middle;margin-right:5px}
@media(max-width:900px){.r>summary{grid-template-columns:52px 100px 1fr}
.r>summary>:nth-child(n+4){grid-column:3;text-align:left}.head{display:none}}
"""

SCRIPT = """
const main = document.querySelector("main"), tiles = document.querySelectorAll(".tiles button");
for (const tile of tiles) tile.onclick = () => {
  main.dataset.only = tile.dataset.k;
  for (const other of tiles) other.classList.toggle("on", other === tile);
};
const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (target) target.open = true;
"""

ROW = """<details class="r %s" id="%s"><summary><b class="k">%s</b><span class="i">%s</span>
<span class="x">%s<small>%s</small></span><span class="l">%s</span><span class="v">%s</span>
<span class="v">%s</span><span>%s</span></summary><div class="d">%s</div></details>
"""

DETAILS = """%s<div class="plots">%s</div><div class="below"><table>
<tr><th>profile</th><th>runs</th><th>failed</th><th>least</th><th>most</th></tr>%s</table>
<div><p>Shown: the worst run, profile %s, seed %d.</p><details><summary>its scenario, for
<code>pile.py sim</code></summary><pre>%s</pre></details></div></div>"""

HEAD = """<h2>%s</h2><div class="head"><b></b><span>requirement</span><span></span>
<span>limit</span><span>least</span><span>most</span><span>within the limit</span></div>
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Voltpile: conformance</title><style>%(style)s</style></head>
<body><main data-only="">
<h1>Does Voltpile's AC pile do what IEC 61851-1 asks?</h1>
<p class="told">Measured, not claimed: %(told)s. A time runs from the plant's event to the plant's
answer. Where the standard sets no limit, the clause says that the limit is our own. What nothing
can simulate yet is open; it counts as nothing.</p>
<div class="tiles">%(tiles)s</div>
<div class="legend"><span><i style="background:#2f6fb0"></i>pilot, high plateau</span>
<span><i style="background:#7a5aa6"></i>pilot, low plateau; duty</span>
<span><i style="background:#22303c"></i>drive pin on</span>
<span><i style="background:#3a9a5f;height:9px"></i>contactor's metal closed</span>
<span><i style="background:#d9822b;opacity:.3;height:9px"></i>what was measured</span>
<span>click a row for its worst run</span></div>
%(body)s
</main><script>%(script)s</script></body></html>
"""
