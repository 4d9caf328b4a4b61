"""What only a GPU shows; one command runs it there: python -m pytest tests/test_cuda.py."""

import math

import pytest
import torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "native_lstm"])
@pytest.mark.parametrize("precision", ["32", "bf16-mixed", "16-mixed"])
def test_every_cell_and_precision_trains_on_the_gpu(small_run, cell, precision):
    overrides = ["trainer=gpu", f"trainer.precision={precision}", "trainer.max_epochs=2", "optimizer.lr=0.02"]
    results = small_run(f"cell={cell}", *overrides).results
    assert math.isfinite(results["val/loss"])
    assert results["val/loss"] < 2.5
