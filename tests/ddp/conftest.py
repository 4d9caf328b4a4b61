"""Several processes on this machine, as torchrun would start them, for many trainings one after the other."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("several.py")


@pytest.fixture
def train_by_several(tmp_path):
    """Trains by so many processes: `train_by_several([config, (config, run to resume), ...], count=2)`."""

    def run(jobs, count=2):
        pairs = [job if isinstance(job, tuple) else (job, None) for job in jobs]
        with_ports = [
            {"config": config, "resume": None if resume is None else str(resume), "port": _free_port()}
            for config, resume in pairs
        ]
        path = tmp_path / "jobs.json"
        path.write_text(json.dumps(with_ports))
        processes = []
        for rank in range(count):
            own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
            environment |= {name: str(value) for name, value in own.items()}
            command = [sys.executable, str(SCRIPT), str(path)]
            processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        errors = [process.communicate(timeout=500)[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * count, "\n".join(errors)
        return errors

    return run


def _free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]
