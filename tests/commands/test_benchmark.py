"""`seqmodels benchmark`: what it says of its measurements is what was measured, and wrong layers are not timed."""

import json
import math
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from seqmodels.benchmarks import CONTENDERS, SHAPES, STEPWISE, Disagreement, Shape
from seqmodels.benchmarks.attentions import ATTENTIONS, check_attention, check_half
from seqmodels.benchmarks.contenders import Batch, UserLSTMCell
from seqmodels.benchmarks.memory import scales
from seqmodels.benchmarks.timing import by_turns
from seqmodels.commands.main import main
from seqmodels.nn import AdditiveAttention, DotAttention, ElmanCell, Recurrent, backends

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
QUICK = ["rounds=1", "memory=false"]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder, and measurements that take no longer than they must."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("seqmodels.benchmarks.suite.by_turns", lambda calls, *_: by_turns(calls, 1, 0))
    monkeypatch.setattr("seqmodels.benchmarks.suite.gemm_gflops", lambda: 100.0)
    return tmp_path


def test_all_cells_over_all_kinds_of_shapes(work, capsys):
    shapes = ["3x4x5x6", "3x4x5x6+2layers+bidirectional", "4x25x5x6+lengths"]
    assert main(["benchmark", f"shapes={','.join(shapes)}", *QUICK]) == 0
    shown = capsys.readouterr().out
    found = json.loads(Path("outputs/benchmark.json").read_text())
    measured = {(row["cell"], row["mode"], row["shape"]) for row in found["results"]}
    expected = {(cell, "forward+backward", shape) for cell in CONTENDERS for shape in shapes}
    expected |= {(cell, "forward", shape) for cell in ("lstm", "gru", "elman") for shape in shapes}
    assert measured == expected | {(STEPWISE, "forward", "1x1x512x512")}
    for row in found["results"]:
        assert row["ratio"] == pytest.approx(row["torch_ms"] / row["ours_ms"], rel=0.01)
        assert row["roofline_share"] == pytest.approx(row["gflops"] / 100, abs=0.01)
        assert row["our_peak_bytes"] is None
        rounded = {f"{row['ratio'] + change:.2f}" for change in (-5e-5, 5e-5)}  # the file has four digits of it
        assert any(ratio in shown for ratio in rounded)
    assert found["versions"]["torch"] == torch.__version__
    assert found["settings"]["threads"] == torch.get_num_threads()
    assert not re.search(r"/home|/tmp|/root", json.dumps(found))
    for values in found["summary"]:
        ratios = {
            row["shape"]: row["ratio"]
            for row in found["results"]
            if all(row[key] == values[key] for key in ("cell", "mode"))
        }
        assert values["geometric_mean"] == pytest.approx(math.prod(ratios.values()) ** (1 / len(ratios)), rel=0.01)
        assert values["worst"] == min(ratios.values()) == ratios[values["worst_shape"]]


def test_keys_choose_what_is_measured(work, capsys):
    keys = ["cells=gru,lstm", "shapes=2x3x4x5", "backend=reference", "threads=1", "output=mine/speed.json", *QUICK]
    assert main(["benchmark", *keys]) == 0
    found = json.loads(Path("mine/speed.json").read_text())
    assert {(row["cell"], row["shape"]) for row in found["results"]} == {("gru", "2x3x4x5"), ("lstm", "2x3x4x5")}
    assert found["settings"]["backend"] == "reference"
    assert [path.name for path in Path().iterdir()] == ["mine"]


MISTAKES = {
    "cells=lstn": "cells=lstn: expected some of lstm, gru, elman",
    "shapes=3x4": "shapes=3x4: expected BxTxIxH",
    "shapes=3x4x5x0": "shapes=3x4x5x0: expected BxTxIxH",
    "rounds=0": "rounds=0: expected at least 1",
    "rounds=many": "rounds=many: expected an integer",
    "threads=0": "threads=0: expected at least 1",
    "backend=fast": "backend=fast: expected one of auto, ",
    "output=/": "output=/: cannot be written",
    "round=3": "round=3: no such key; did you mean rounds?",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(work, capsys, mistake):
    assert main(["benchmark", mistake]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"seqmodels: {MISTAKES[mistake]}")


class WrongOutput(UserLSTMCell):
    def update(self, projected, recurrent, state):
        h, state = super().update(projected, recurrent, state)
        return 1.01 * h, state


class WrongGradient(UserLSTMCell):
    def update(self, projected, recurrent, state):
        return super().update(projected, (recurrent + recurrent.detach()) / 2, state)


@pytest.mark.parametrize(
    ("cell", "what"), [(WrongOutput, "the outputs differ"), (WrongGradient, "the gradients of inputs differ")]
)
def test_a_layer_that_computes_something_else_is_not_timed(work, capsys, monkeypatch, cell, what):
    monkeypatch.setitem(CONTENDERS, "user_lstm", replace(CONTENDERS["user_lstm"], cell=cell))
    assert main(["benchmark", "cells=user_lstm", "shapes=3x4x5x6", "backend=reference", *QUICK]) == 2
    captured = capsys.readouterr()
    assert f"a user's LSTM over 3x4x5x6: {what}" in captured.err
    assert "Traceback" not in captured.err
    assert not captured.out


def test_a_kernel_that_strays_from_the_reference_is_not_timed(work, capsys, monkeypatch):
    made = iter([1.0, 1.0, 1.01])  # the timed layer, the reference, the layer that is checked against it

    class Straying(ElmanCell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.factor = next(made)

        def update(self, projected, recurrent, state):
            h, state = super().update(projected, recurrent, state)
            return self.factor * h, state

    straying = replace(CONTENDERS["elman"], cell=Straying, has_twin=False)
    monkeypatch.setitem(CONTENDERS, "elman", straying)
    assert main(["benchmark", "cells=elman", "shapes=3x4x5x6", "backend=reference", *QUICK]) == 2
    assert "the outputs differ" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["7x5x3x4", "7x5x3x4+3layers", "7x5x3x4+2layers+bidirectional"])
def test_products_are_those_that_run(text):
    shape = Shape.parse(text)
    assert str(shape) == text
    layer = CONTENDERS["user_lstm"].make(shape, "reference")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Batch(shape).forward(layer)
    assert shape.products(num_gates=4) == counter.get_total_flops()


def test_products_leave_out_padding():
    shape = Shape.parse("64x100x256x256+lengths")
    assert shape in SHAPES
    lengths = shape.lengths()
    assert lengths.min() >= 10
    assert lengths.max() == 100
    assert lengths.unique().numel() > 30
    whole = replace(shape, ragged=False)
    assert shape.products(4) * 64 * 100 == whole.products(4) * int(lengths.sum())


def test_calls_take_turns_and_the_fastest_round_counts():
    called = []
    times = iter([3.0, 5.0, 4.0, 1.0, 2.0, 6.0])

    def clock(call):
        call()
        return next(times)

    calls = {"a": partial(called.append, "a"), "b": partial(called.append, "b")}
    timings = by_turns(calls, rounds=3, seconds=0, clock=clock)
    assert "".join(called) == "abab" + "ab" + "ba" + "ab"
    assert timings == {"a": (1.0, 3), "b": (4.0, 3)}


def test_short_calls_get_more_rounds():
    assert by_turns({"a": lambda: None}, rounds=2, seconds=1.0, clock=lambda call: 0.125)["a"].rounds == 8
    assert by_turns({"a": lambda: None}, rounds=2, seconds=1.0, clock=lambda call: 1e-9)["a"].rounds == 200


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell")
def test_peak_memory_is_that_of_the_pass():
    shape = Shape(32, 100, 64, 64)
    with scales(threads=1) as opened:
        peaks = [opened.peak("RNN", replace(shape, time=time)) for time in (100, 400)]
    outputs_and_gradients = 4 * shape.batch * shape.time * (64 + 64)
    assert 1.5 * outputs_and_gradients < peaks[0] < 20 * outputs_and_gradients
    assert 2.5 < peaks[1] / peaks[0] < 6


def test_list_says_which_kernels_there_are(capsys):
    assert main(["list", "cells"]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last == f"kernels of this machine, the fastest first (model.backend=...): {', '.join(backends())}"


@pytest.fixture
def gpu_script(monkeypatch):
    """The script for a GPU, and how it measures as little as it can."""
    monkeypatch.syspath_prepend(SCRIPTS)  # it takes a model from its neighbour
    script = runpy.run_path(str(SCRIPTS / "benchmark_gpu.py"))
    measured = script["Bench"].measure.__globals__
    monkeypatch.setitem(measured, "by_turns", lambda calls, *_, clock: by_turns(calls, 1, 0))
    monkeypatch.setitem(measured, "gemm_gflops", lambda *_: 1.0)
    return script


def test_scripts(tmp_path, monkeypatch, gpu_script):
    shown = subprocess.run(
        [sys.executable, str(SCRIPTS / "benchmark.py"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "seqmodels benchmark" in shown
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as caught:
        gpu_script["main"]([])
    assert caught.value.code == "benchmark_gpu.py: torch sees no CUDA device here"
    output = tmp_path / "gpu.json"
    keys = [
        "--device=cpu",
        "--rounds=1",
        f"--output={output}",
        "--cells=lstm,layer_norm_lstm",
        "--shapes=3x4x5x6+lengths",
    ]
    gpu_script["main"]([*keys, "--parts", "cells", "--precisions=float32,bfloat16"])
    found = json.loads(output.read_text())
    assert "pairs" not in found
    rows = found["results"]
    assert {(row["cell"], row["precision"]) for row in rows} == {
        (cell, precision) for cell in ("lstm", "layer_norm_lstm") for precision in ("float32", "bfloat16")
    }
    assert all(row["largest_error"] < (1e-3 if row["precision"] == "float32" else 0.2) for row in rows)


def test_attention_and_what_uses_it_on_a_device(tmp_path, gpu_script, capsys):
    output = tmp_path / "gpu.json"
    gpu_script["main"](["--device=cpu", "--rounds=1", f"--output={output}", "--parts", "attentions", "pairs"])
    found = json.loads(output.read_text())
    assert {row["attention"] for row in found["attentions"]} == set(ATTENTIONS)
    assert all(row["largest_error"] == 0 for row in found["attentions"])  # the device is the CPU
    (row,) = found["pairs"]
    assert row["ratio"] == pytest.approx(row["bare_ms"] / row["ours_ms"])
    assert row["our_tokens_per_second"] == pytest.approx(1e3 * row["tokens"] / row["ours_ms"])
    assert f"ratio {row['ratio']:.2f}" in capsys.readouterr().out


def test_what_is_timed_of_pairs_learns_on_both_sides(gpu_script, monkeypatch):
    losses = []
    measured = gpu_script["make_updates"].__globals__
    scored = measured["cross_entropy"]
    monkeypatch.setitem(measured, "cross_entropy", lambda *given: losses.append(scored(*given)) or losses[-1])
    updates, pairs, tokens = gpu_script["make_updates"]("cpu")
    assert tokens > pairs
    for update in updates.values():
        update()
    assert [float(loss.detach()) for loss in losses] == pytest.approx([math.log(29)] * 2, abs=0.5)
    models = [update.args[0] for update in updates.values()]
    assert all(parameter.grad is not None for model in models for parameter in model.parameters())


class Strayed(AdditiveAttention):
    """What another device would make of it: contexts or gradients that are not those of the CPU."""

    def __init__(self, query_size, value_size):
        super().__init__(query_size, value_size)
        self.factors = None

    def __deepcopy__(self, memo):
        twin = Strayed(self.query_size, self.value_size)
        twin.load_state_dict(self.state_dict())
        twin.factors = FACTORS[self.kind]
        return twin

    def read(self, weights, memory):
        context = super().read(weights, memory)
        if self.factors is None:
            return context
        forward, backward = self.factors
        context = context * backward
        return context + (forward / backward - 1) * context.detach()


FACTORS = {"forward": (1.001, 1.0), "backward": (1.0, 1.001)}


@pytest.mark.parametrize(("kind", "what"), [("forward", "the outputs differ"), ("backward", "the gradients of")])
def test_an_attention_that_strays_on_a_device_is_told(monkeypatch, kind, what):
    monkeypatch.setitem(ATTENTIONS, "Strayed", type("Strayed", (Strayed,), {"kind": kind}))
    with pytest.raises(Disagreement, match=f"Strayed on cpu: {what}"):
        check_attention("Strayed", "cpu")


class Unmasked(DotAttention):
    def weigh(self, queries, memory, state):
        weights, state = super().weigh(queries, memory, state)
        return weights + 1e-3, state


class Infinite(DotAttention):
    def weigh(self, queries, memory, state):
        scores = self.scores(queries, memory).to(memory.values.dtype)  # what half precision cannot hold
        return (scores - scores.amax(-1, keepdim=True)).softmax(-1), state


@pytest.mark.parametrize(("kind", "what"), [(Unmasked, "padding of a source has a weight"), (Infinite, "not finite")])
def test_half_precision_that_is_not_safe_is_told(monkeypatch, kind, what):
    monkeypatch.setitem(ATTENTIONS, "kind", kind)
    with pytest.raises(Disagreement, match=f"kind on cpu in torch.float16: .*{what}"):
        check_half("kind", "cpu", torch.float16)


def test_the_users_lstm_is_an_lstm():
    torch.manual_seed(0)
    layer, native = Recurrent(UserLSTMCell, 3, 4), nn.LSTM(3, 4, batch_first=True)
    layer.load_state_dict({f"cells.0.{name.removesuffix('_l0')}": value for name, value in native.state_dict().items()})
    inputs = torch.randn(2, 5, 3)
    torch.testing.assert_close(layer(inputs)[0], native(inputs)[0])
