"""Takes the README's picture of TensorBoard: starts it on a folder of runs, opens it in headless Chromium, saves a PNG.

    python scripts/picture_tensorboard.py outputs/char_lm docs/tensorboard.png

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
from urllib.parse import quote

from tensorboard.program import TensorBoard

TAGS = "^(train/(loss|gradient|learning|tokens)|val/(loss|bits_per_char))"


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
        flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--window-size=1500,1250"]
        # Without WebGL TensorBoard draws its charts as SVG, which are on the picture for certain.
        flags += ["--disable-3d-apis", "--run-all-compositor-stages-before-draw", "--virtual-time-budget=60000"]
        flags += [f"--user-data-dir={profile}", f"--screenshot={arguments.picture.resolve()}"]
        page = f"{url}?darkMode=false&tagFilter={quote(TAGS)}#timeseries"
        subprocess.run([browser, *flags, page], check=True, capture_output=True, timeout=180)
    print(f"{arguments.picture}: {arguments.picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
