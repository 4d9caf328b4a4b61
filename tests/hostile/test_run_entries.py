"""What stands in a run directory of a stranger's: links, pipes, sockets, metrics, folders that it names."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from seqmodels.commands.main import main
from seqmodels.errors import UserError
from tests.hostile.conftest import change, measure, resumed


def test_folders_that_a_configuration_names_are_not_written_to(run, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    change(run, "data.cache_dir", str(elsewhere / "cache"))
    change(run, "output_dir", str(elsewhere / "outputs"))
    change(run, "name", "../../../elsewhere/escaped")
    assert measure(run)
    assert main(["inspect", f"run={run}", "views=embeddings"]) == 0
    assert resumed(run).run == run
    assert not elsewhere.exists()


@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "inspection", "tensorboard", "checkpoints/mine"])
def test_links_out_of_a_run_are_not_written_through(run, refused, tmp_path, name):
    private = tmp_path / "private"
    private.mkdir()
    target = private / "profile" if "." in name else private
    if (run / name).exists():
        (shutil.rmtree if (run / name).is_dir() else os.unlink)(run / name)
    (run / name).symlink_to(target)
    assert "is a link out of the run directory" in refused("inspect", f"run={run}", "views=embeddings")
    with pytest.raises(UserError, match="is a link out of the run directory"):
        resumed(run)
    assert not list(private.iterdir())
    assert measure(run)  # what only reads may


@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "gradient_norms.csv", ".lock", "inspection/index.html"])
def test_pipes_in_a_run_are_not_waited_for(run, refused, name):
    (run / "inspection").mkdir()
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    told = f"{name}: is a pipe, a socket or a device; expected a file or a folder"
    assert told in refused("inspect", f"run={run}", "views=embeddings")
    assert told in refused("train", f"resume={run}")
    assert measure(run)  # what opens none of them may


def test_sockets_and_devices_in_a_run_are_not_opened(run, refused, monkeypatch):
    monkeypatch.chdir(run)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("log.txt.socket")
        assert "log.txt.socket: is a pipe, a socket or a device" in refused("train", f"resume={run}")
    Path("log.txt.socket").unlink()
    Path("null").symlink_to(os.devnull)
    assert "null: is a link out of the run directory" in refused("train", f"resume={run}")


@pytest.mark.parametrize("name", ["metrics.csv", "gradient_norms.csv"])
def test_metrics_that_are_no_text_are_refused_and_broken_rows_are_dropped(run, refused, name):
    whole = (run / name).read_bytes()
    for spoilt in (b"\xff", b"\xe9t\xe9", "é".encode("utf-16")):
        (run / name).write_bytes(whole + spoilt)
        with pytest.raises(UserError, match=f"{name}: is no CSV in UTF-8; put it elsewhere"):
            resumed(run)
    rows = "²,1\n" + "9" * 5000 + ",1\n1\n-1,1\n,\n1" + ",1" * 99
    (run / name).write_bytes(whole + rows.encode())
    resumed(run)
    assert (run / name).read_bytes().startswith(whole)
    assert "²" not in (run / name).read_text("utf-8")
