"""Runs `triton_cases.py` in a process of its own, as Triton decides when it is imported whether to interpret."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqmodels.nn import GRUCell, LayerNormLSTMCell
from seqmodels.nn.programs import read

triton = pytest.importorskip("triton")
ROOT = Path(__file__).parents[2]


def run_cases(interpret):
    environment = {**os.environ, "TRITON_INTERPRET": str(int(interpret)), "OMP_NUM_THREADS": "1"}
    options = ["-o", "addopts=", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", "tests/nn/triton_cases.py", *options]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)


def test_all_cases_under_the_interpreter():
    done = run_cases(interpret=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) > 60


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_all_cases_on_the_gpu():
    done = run_cases(interpret=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="what is interpreted is not compiled")
@pytest.mark.parametrize("cell, dtype", [(GRUCell, torch.bfloat16), (LayerNormLSTMCell, torch.float32)])
def test_the_kernels_compile_for_a_gpu(cell, dtype, tmp_path, monkeypatch):
    """To machine code, which needs no GPU; the interpreter takes what the compiler may refuse."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    from seqmodels.nn.kernels.fused.steps import choose_tile, load_kernels

    tile = choose_tile(130, whole_rows=cell is LayerNormLSTMCell)
    constants = {"H": 130, "FLOAT": triton.language.float32, "R": tile.rows, "C": tile.columns}
    flags = {"STEP": True, "CAST": True, "KEEP": True}
    for kernel, more in zip(load_kernels(read(cell(2, 130), torch.float32)), (flags, {}), strict=True):
        values = {**constants, **more}
        in_float32 = ("sums", "grad_state0", "grad_state1")
        buffer = "*fp32" if dtype is torch.float32 else "*bf16"
        types = {name: "*fp32" if name in in_float32 else buffer for name in kernel.arg_names}
        types |= dict.fromkeys(("rows", "begin", "before", "after"), "i32") | dict.fromkeys(values, "constexpr")
        places = {(kernel.arg_names.index(name),): value for name, value in values.items()}
        source = triton.compiler.ASTSource(kernel, types, places)
        target = triton.backends.compiler.GPUTarget("cuda", 80, 32)
        compiled = triton.compile(source, target=target, options={"num_warps": tile.num_warps})
        assert "st.global" in compiled.asm["ptx"]
        assert compiled.asm["cubin"]


def test_neither_importing_nor_asking_for_kernels_loads_triton():
    script = "import sys, seqmodels.nn as nn; nn.backends(); nn.Recurrent(nn.GRUCell, 2, 3); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not [module for module in loaded if module.startswith("triton")]
