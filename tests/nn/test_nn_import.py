import subprocess
import sys


def test_importing_needs_torch_alone():
    script = "import sys, seqmodels.nn; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"lightning", "pytorch_lightning", "hydra", "omegaconf", "tensorboard", "pydantic"} & set(loaded)
    assert not {m for m in loaded if m.startswith("seqmodels.")} - {m for m in loaded if m.startswith("seqmodels.nn")}
