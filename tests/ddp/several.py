"""Trains configurations one after the other as one of several processes: `python several.py JOBS.json`, see conftest.

A job is a configuration and, where a run is to be gone on with, its directory.
"""

import json
import os
import sys
from pathlib import Path

import torch

from seqmodels import runs
from seqmodels.training import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    for job in json.loads(Path(sys.argv[1]).read_text()):
        os.environ["MASTER_PORT"] = str(job["port"])
        resumed = runs.load_run(job["resume"], to_resume=True) if job["resume"] else None
        train(job["config"], resumed)
