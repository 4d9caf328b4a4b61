"""Takes the README's picture of TensorBoard: starts it on a folder of runs, opens it in headless Chromium, saves a PNG.

    python scripts/picture_tensorboard.py outputs docs/tensorboard.png

Needs a `chromium` (or `google-chrome`) on the path.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tensorboard.program import TensorBoard

TAGS = "train%2Floss%7Cbits_per_character%7Cperplexity%7Ctokens_per_second"


def wait_for_runs(url: str, seconds: float = 60) -> None:
    """Waits until TensorBoard has read some runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{url}data/runs") as answer:
            if len(answer.read()) > len("[]\n"):
                return
        time.sleep(1)
    sys.exit("TensorBoard found no runs")


def main() -> None:
    """Takes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logdir", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no chromium or google-chrome on the path")
    board = TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", str(arguments.logdir), "--port", "0", "--load_fast", "false"])
    url = board.launch()
    wait_for_runs(url)
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser, "--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={profile}",
                "--window-size=1500,1000", "--virtual-time-budget=20000",
                f"--screenshot={arguments.picture.resolve()}", f"{url}?darkMode=false&tagFilter={TAGS}#timeseries",
            ],
            check=True,
            capture_output=True,
            timeout=180,
        )  # fmt: skip
    print(f"{arguments.picture}: {arguments.picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
