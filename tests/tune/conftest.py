"""A study of runs that take a second, and a PostgreSQL of its own."""

import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import optuna
import pytest

optuna.logging.set_verbosity(optuna.logging.ERROR)

SMALL = [
    "data=text_file",
    "data.path=mine.txt",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=4",
    "trainer.limit_val_batches=2",
    "model.hidden_size=8",
    "model.embedding_size=4",
    "data.batch_size=4",
    "tbptt.k1=8",
    "tbptt.k2=8",
    "~callbacks.samples",
]

SPACE = """# A space of a test.
sampler: random
space:
  optimizer.lr: {type: float, low: 1.0e-4, high: 1.0e-1, log: true}
  model.hidden_size: {type: int, low: 4, high: 8}
"""


@pytest.fixture
def work(tmp_path, monkeypatch, corpus):
    """A working folder with the user's own file and search in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text(corpus.read_text())
    (tmp_path / "space.yaml").write_text(SPACE)
    return tmp_path


@pytest.fixture
def command():
    """The words behind `seqmodels` that go on with the study: `command("trials=3", ...)`."""
    small = [word for word in SMALL if not word.startswith("model.hidden_size")]
    return lambda *words: ["tune", "hparams_search=space.yaml", *small, *words]


@pytest.fixture
def trials():
    """Reads all trials of a study: `trials(url)`; none as long as there is no study."""

    def read(url="sqlite:///outputs/char_lm/char_lm-space/study.db"):
        if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).exists():
            return []
        storage = optuna.storages.RDBStorage(url)
        try:
            return optuna.load_study(study_name=None, storage=storage).get_trials()
        except (KeyError, ValueError):
            return []
        finally:
            storage.remove_session()
            storage.engine.dispose()

    return read


def _program(name):
    found = [*sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}")), shutil.which(name)]
    return found[-2] if len(found) > 1 else found[-1]


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL on loopback, with a password; it runs as another user, since it refuses root."""
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="seqmodels-postgresql-"))
    password = secrets.token_hex(8)
    (folder / "password").write_text(password)
    user = "nobody" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)
        shutil.chown(folder / "password", user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    make = [initdb, "-D", data, "-U", "tuner", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
    start = [server, "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder, "-F"]
    process = None
    try:
        subprocess.run(make, check=True, capture_output=True, user=user, cwd=folder)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(start, user=user, cwd=folder, stdout=log, stderr=log)
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"postgresql://tuner:{password}@127.0.0.1:{port}/postgres"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # ends at once, and in order
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)
