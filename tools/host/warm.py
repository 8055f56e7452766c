"""Many scenarios on few warm processes: what `sim` does once, thousands of times."""

import concurrent.futures
import contextlib
import json
import os
import subprocess
import tempfile
import threading

from . import pile_process
from .errors import Failed

PROGRAM = "from tools.warm import main; main()"
PROCESSES = min(8, os.cpu_count() or 1)


class Warm:
    """A process that runs jobs (see tools/warm.py) one after the other. Use it in a `with`."""

    def __init__(self, interpreter="micropython"):
        self.firmware = tempfile.TemporaryDirectory(prefix="voltpile-")
        argv, env = pile_process.command(interpreter, self.firmware.name)
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [*argv[:-1], PROGRAM],
            cwd=pile_process.REPO, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pile_process.stop(self.process)
        self.process.stdout.close()
        self.errors.close()
        self.firmware.cleanup()

    def run(self, job, progress=None, raw=False):
        """The trace of one job, as a list of dicts, or of its lines as they are (`raw`); raises
        Failed when the pile breaks.

        `progress(t_us)` hears of the virtual time when the job asks for that.
        """
        lines = []
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: what it said last is read below
        for text in self.process.stdout:
            if not text.startswith("{"):
                self.errors.write(text)
                continue
            line = json.loads(text)
            if line["what"] == "done":
                return lines
            if line["what"] != "progress":
                lines.append(text if raw else line)
            elif progress:
                progress(line["t_us"])
        self.process.wait()
        self.errors.seek(0)
        raise Failed("the pile broke in the scenario %s: %s"
                     % (json.dumps(job["scenario"]), self.errors.read().strip()[-2000:]))


def run_all(jobs, interpreter="micropython", processes=PROCESSES, done=None):
    """Run the jobs on several processes; the traces in the jobs' order.

    `done()` is called after each, `done` of several never at once.
    """
    jobs = list(jobs)
    traces = [None] * len(jobs)
    todo = list(range(len(jobs)))[::-1]  # list.pop is atomic
    lock = threading.Lock()

    def work():
        with Warm(interpreter) as warm:
            while todo:
                with contextlib.suppress(IndexError):  # another has taken the last one
                    i = todo.pop()
                    try:
                        traces[i] = warm.run(jobs[i])
                    except Exception:
                        todo.clear()
                        raise
                    if done:
                        with lock:
                            done()

    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        working = [pool.submit(work) for _ in range(max(1, min(processes, len(jobs))))]
        for future in concurrent.futures.as_completed(working):
            future.result()
    return traces


