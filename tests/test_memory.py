"""Memory does not grow with the text."""

import subprocess
import sys

SCRIPT = """
import resource, sys
from seqmodels.commands.main import main
path, folder = sys.argv[1:]
overrides = ["trainer.limit_train_batches=40", "trainer.limit_val_batches=5", "model.hidden_size=16", "trainer=cpu"]
assert main(["train", "data=text_file", f"data.path={path}", f"output_dir={folder}", "callbacks.samples=null", *overrides]) == 0
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(path, folder):
    done = subprocess.run([sys.executable, "-c", SCRIPT, path, folder], capture_output=True, text=True, check=True)
    return int(done.stdout.rpartition("peak ")[2])


def test_a_ten_times_longer_corpus_has_the_same_peak(tmp_path):
    """Encoding it and training on it included: the whole process."""
    text = "To be, or not to be, that is the question.\n" * 140_000  # 6 MB
    peaks = []
    for times in (1, 10):
        path = tmp_path / f"{times}.txt"
        with path.open("w") as file:
            for _ in range(times):
                file.write(text)
        peaks.append(peak(str(path), str(tmp_path / "outputs")))
    assert peaks[1] < 1.1 * peaks[0], peaks  # 60 MB held whole would be far more than that
