"""Commands that run as processes of their own, and what is asked of them and of what they leave."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# A small training with a checkpoint after each update, so that kills fall into writing one as often as into anything.
RUN = [
    *("data=text_file", "trainer=cpu", "model.hidden_size=24", "model.output_dropout=0.2", "data.batch_size=8"),
    *("tbptt.k1=8", "tbptt.k2=12", "callbacks.checkpoints.every_n_steps=1", "trainer.val_check_interval=40"),
    *("callbacks.samples=null", "callbacks.pictures=null", "callbacks.monitor.every_n_steps=3"),
]


class Process:
    """A command that runs.

    Args:
        nursery: Its parent.
        pid: Its number.
        output: The file of what it says on stderr.
    """

    def __init__(self, nursery, pid, output):
        self.nursery, self.pid, self.output = nursery, pid, output
        self.code = None

    def poll(self):
        if self.code is None:
            self.code = self.nursery.ask({"wait": self.pid, "block": False})
        return self.code

    def wait(self):
        if self.code is None:
            self.code = self.nursery.ask({"wait": self.pid, "block": True})
        return self.code

    def send(self, signum, group=False):
        """Sends a signal, if it still runs, to it alone or, as a terminal does, to its workers too."""
        if self.poll() is None:
            (os.killpg if group else os.kill)(self.pid, signum)

    def kill(self):
        self.send(signal.SIGKILL)
        return self.wait()

    @property
    def told(self):
        return self.output.read_text() if self.output.exists() else ""

    def line(self):
        """Waits for its end with a mistake of the user's, and returns the one line that tells it."""
        assert self.wait() == 1, self.told
        lines = [line for line in self.told.splitlines() if line.startswith("seqmodels: ")]
        assert len(lines) == 1, self.told
        assert "Traceback" not in self.told, self.told
        return lines[0].removeprefix("seqmodels: ")


class Nursery:
    """Starts commands as processes of their own, see `nursery.py`."""

    def __init__(self):
        script = Path(__file__).with_name("nursery.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.count = 0

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, folder, *arguments, limits=None):
        self.count += 1
        output = Path(folder, f"stderr_{self.count}.txt")
        request = {"start": list(map(str, arguments)), "folder": str(folder), "output": str(output)}
        return Process(self, self.ask({**request, "limits": limits or {}}), output)


def wait_until(condition, process, seconds=120.0):
    """Waits while a process lives until something holds; returns whether it does."""
    end = time.monotonic() + seconds
    while not (held := condition()) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    return bool(held)
