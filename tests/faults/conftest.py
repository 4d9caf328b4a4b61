"""Processes to be ill-treated, and the folders that they are ill-treated with."""

import subprocess

import pytest
from processes import Nursery

collect_ignore = ["nursery.py"]  # a program of its own


@pytest.fixture(scope="session")
def nursery(cache):
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def start(nursery, tmp_path):
    """Starts a command in a folder of the test's; what still runs at its end is killed."""
    started = []

    def start(*arguments, folder=tmp_path, limits=None):
        started.append(nursery.start(folder, *arguments, limits=limits))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()


@pytest.fixture
def mount(tmp_path):
    """Mounts file systems in memory: `mount(folder, "size=256k")`, `mount(folder, "remount,ro")`."""
    mounted = []

    def mount(folder, options):
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("may not mount a file system here")
        if folder not in mounted:
            mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
