"""Imports the program once, then forks a process for each command it is asked for: real processes, quickly begun.

Reads requests as lines of JSON: `{"start": [...], "folder": ..., "output": ..., "limits": {...}}` is answered with the
process's number, `{"wait": pid, "block": true}` with its exit code, negative for a signal, or null while it runs.
"""

import atexit
import importlib
import json
import os
import resource
import sys
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork among threads: those of the imports are asleep

for name in ("commands.train", "commands.evaluate", "training"):
    importlib.import_module(f"seqmodels.{name}")


def run(request):
    os.setsid()
    os.chdir(request["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(output, 2)
    for name, limit in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    code = importlib.import_module("seqmodels.commands.main").main(request["start"])
    atexit._run_exitfuncs()
    sys.stderr.flush()
    os._exit(code)


for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        pid, status = os.waitpid(request["wait"], 0 if request["block"] else os.WNOHANG)
        answer = os.waitstatus_to_exitcode(status) if pid else None
    else:
        answer = os.fork()
        if not answer:
            try:
                run(request)
            finally:
                os._exit(99)
    print(json.dumps(answer), flush=True)
