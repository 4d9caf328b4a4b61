import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from seqmodels.data import (
    IGNORE_INDEX,
    TBPTT,
    BPETokenizer,
    BucketedLines,
    ByteTokenizer,
    DataModule,
    PythonSource,
    StreamWindows,
    TextFile,
    TextLines,
    TinyShakespeare,
    Window,
    tokenizer_from_spec,
)
from seqmodels.data import text as text_module
from seqmodels.data.batches import EVALUATION, evaluation_stream
from seqmodels.errors import UserError


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "text.txt"
    generator = np.random.default_rng(0)
    file.write_text("".join(generator.choice(list("abcdefg \n"), 3000)) + "Z")
    return str(file)


@pytest.fixture
def names(tmp_path: Path) -> str:
    file = tmp_path / "names.txt"
    generator = np.random.default_rng(0)
    file.write_text("\n".join("x" * size for size in generator.integers(1, 30, 200)))
    return str(file)


def ready(module: DataModule) -> DataModule:
    module.setup()
    return module


@pytest.mark.parametrize("num_rows", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("tbptt", [TBPTT(4, 4), TBPTT(3, 7), TBPTT(1, None), TBPTT(None, None), EVALUATION])
def test_stream_scores_every_target_once_in_its_row(num_rows: int, tbptt: TBPTT) -> None:
    tokens = np.arange(101, dtype=np.uint16)
    windows = StreamWindows(tokens, num_rows, tbptt)
    batches = [windows[index] for index in range(len(windows))]
    scored = torch.cat([window.targets for window in batches], dim=1)
    row_length = -(-100 // num_rows)
    assert scored.shape == (num_rows, row_length)
    flat = scored.flatten()
    assert flat[flat != IGNORE_INDEX].tolist() == list(range(1, 101))
    for window in batches:
        last = window.inputs[:, -window.targets.shape[1] :]
        valid = window.targets != IGNORE_INDEX
        assert (last[valid] + 1 == window.targets[valid]).all()
        assert int(window.inputs.max()) <= 100
        steps = torch.arange(window.inputs.shape[1])
        assert ((steps < window.lengths[:, None])[:, -window.targets.shape[1] :] == valid).all()
    assert [window.first for window in batches] == [True] + [False] * (len(batches) - 1)
    assert batches[0].inputs[:, 0].tolist()[0] == 0
    with pytest.raises(IndexError):
        windows[len(windows)]


def test_stream_has_one_window_for_all_of_it() -> None:
    window = StreamWindows(np.arange(9), 2, TBPTT(None, None))[0]
    assert window.inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert window.handoff == 4


def test_stream_without_gradient_at_the_front() -> None:
    window = StreamWindows(np.arange(11), 1, TBPTT(5, 2))[1]
    assert window.inputs.tolist() == [[5, 6, 7, 8, 9]]
    assert window.targets.tolist() == [[9, 10]]
    assert window.num_without_gradient == 3


@pytest.mark.parametrize(("num_tokens", "num_rows"), [(100, 1), (257, 1), (600, 2), (100_000, 8)])
def test_evaluation_takes_fewer_rows_of_a_short_part(num_tokens: int, num_rows: int) -> None:
    windows = evaluation_stream(np.zeros(num_tokens, np.uint8), batch_size=8)
    assert windows.num_rows == num_rows
    for index in range(len(windows) - 1):
        assert windows[index].handoff == windows[index].targets.shape[1] == 256


def test_text_file(text: str) -> None:
    module = ready(TextFile(text, batch_size=4, tbptt=TBPTT(16, 16)))
    assert module.splits == ("train", "val", "test")
    loader = module.train_dataloader()
    batches = list(loader)
    # 2700 characters make 2699 targets, 675 in a row.
    assert len(loader) == len(batches) == 43
    assert all(window.inputs.shape == (4, 16) for window in batches)
    tokenizer = tokenizer_from_spec(module.spec["tokenizer"])
    assert tokenizer.decode(batches[0].inputs[0]) == Path(text).read_text()[:16]
    for loader in (module.val_dataloader(), module.test_dataloader()):
        assert isinstance(loader, DataLoader)
        assert sum(int((window.targets != IGNORE_INDEX).sum()) for window in loader) in (149, 150)


def test_spec_is_plain_and_says_what_a_model_needs(text: str) -> None:
    spec = ready(TextFile(text, batch_size=4)).spec
    assert json.loads(json.dumps(spec)) == spec
    assert (spec["kind"], spec["form"], spec["unk"], spec["bos"], spec["eos"]) == ("text", "stream", 0, None, None)
    assert spec["vocab_size"] == 10
    assert spec["characters_per_token"] == {"train": 1.0, "val": 1.0, "test": 1.0}
    assert spec["characters"] == {"train": 2700, "val": 150, "test": 151}
    spec = ready(TextFile(text, batch_size=4, tokenizer=BPETokenizer(300))).spec
    assert (spec["vocab_size"], spec["unk"]) == (300, None)
    assert spec["characters_per_token"]["train"] > 1.1


def test_vocabulary_of_an_earlier_run_is_used(text: str, names: str) -> None:
    spec = json.loads(json.dumps(ready(TextFile(text, batch_size=4)).spec))
    other = ready(TextFile(names, batch_size=4, tokenizer=ByteTokenizer(), spec=spec, tbptt=TBPTT(8, 8)))
    assert other.spec["tokenizer"] == spec["tokenizer"]
    assert 0 in next(iter(other.train_dataloader())).inputs  # x, which the first text lacks
    with pytest.raises(UserError, match="reads text as lines, but the run was trained on stream"):
        ready(TextLines(names, spec=spec))


def test_short_text_can_be_evaluated_but_not_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "short.txt"
    file.write_text("abc" * 20)
    module = TextFile(str(file), test_fraction=0.5, batch_size=2)
    module.setup("test")
    assert len(list(module.test_dataloader())) == 1
    with pytest.raises(UserError) as caught:
        module.setup("fit")
    assert str(caught.value) == (
        "tbptt.k1=64: the training part has 27 tokens, in data.batch_size=2 rows of 13 steps; expected rows of at "
        "least tbptt.k1: a longer text, or a lower data.batch_size or tbptt.k1"
    )


def test_k2_beyond_a_row_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^tbptt\.k2=676: the longest sequence has 675 steps; .* null"):
        ready(TextFile(text, batch_size=4, tbptt=TBPTT(4, 676)))
    ready(TextFile(text, batch_size=4, tbptt=TBPTT(4, 675)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "data.batch_size=0: "),
        ({"val_fraction": 1.0}, "data.val_fraction=1.0: "),
        ({"test_fraction": -0.1}, "data.test_fraction=-0.1: "),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "data.val_fraction=0.5 and data.test_fraction=0.5: "),
        ({"num_workers": -1}, "data.num_workers=-1: "),
        ({"seed": -1}, "data.seed=-1: "),
    ],
)
@pytest.mark.parametrize("make", [TextFile, TextLines, TinyShakespeare, PythonSource])
def test_values_out_of_range_are_refused_at_once(make: Any, options: dict[str, Any], message: str) -> None:
    path = {} if make is PythonSource else {"path": "nowhere.txt"}
    make(**path)
    with pytest.raises(UserError) as caught:
        make(**path, **options)
    assert str(caught.value).startswith(message)


def test_parts_that_do_not_exist(text: str) -> None:
    module = ready(TextFile(text, batch_size=4, val_fraction=0.0, test_fraction=0.0))
    assert module.splits == ("train",)
    assert module.val_dataloader() == []
    with pytest.raises(UserError, match=r"this run has no test part \(data\.test_fraction=0\); there are: train$"):
        module.test_dataloader()
    module = ready(TextFile(text, batch_size=4, val_fraction=0.0, test_fraction=0.5))
    assert module.splits == ("train", "test")


def test_setup_reads_once(text: str) -> None:
    module = ready(TextFile(text, batch_size=4))
    before = next(iter(module.train_dataloader())).inputs
    Path(text).unlink()
    module.prepare_data()
    module.setup("fit")
    module.setup("test")
    assert torch.equal(next(iter(module.train_dataloader())).inputs, before)


def test_python_source() -> None:
    module = ready(PythonSource())
    assert 1_000_000 < sum(module.spec["characters"].values()) < 1_500_000
    assert module.spec["vocab_size"] < 120
    window = next(iter(module.train_dataloader()))
    assert tokenizer_from_spec(module.spec["tokenizer"]).decode(window.inputs[0]).startswith("# Author")


def test_python_without_source_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(UserError, match=r"argparse\.py: this Python lacks the source; data=text_file data\.path="):
        PythonSource().setup()


def test_tiny_shakespeare_is_downloaded_or_given(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready(TinyShakespeare(text, batch_size=4)).splits == ("train", "val")
    monkeypatch.setattr(text_module, "TINY_SHAKESPEARE_URL", Path(text).with_name("missing").as_uri())
    with pytest.raises(UserError, match=r"cannot be downloaded \(.*\); data\.path= takes a local file"):
        TinyShakespeare().setup()


def lines_of(module: DataModule, loader: DataLoader) -> list[list[str]]:
    """Puts the scored targets of each batch's windows together again."""
    tokenizer, eos = tokenizer_from_spec(module.spec["tokenizer"]), module.spec["eos"]
    batches: list[list[list[int]]] = []
    for window in loader:
        if window.first:
            batches.append([[] for _ in window.inputs])
            assert (window.inputs[:, 0] == module.spec["bos"]).all()
        for ids, targets in zip(batches[-1], window.targets, strict=True):
            ids += targets[targets != IGNORE_INDEX].tolist()
    assert all(ids[-1] == eos and ids.count(eos) == 1 for batch in batches for ids in batch)
    return [[tokenizer.decode(ids) for ids in batch] for batch in batches]


@pytest.mark.parametrize("tbptt", [TBPTT(None, None), TBPTT(7, 7), TBPTT(5, 9), TBPTT(1, None)])
def test_lines_come_whole_and_bucketed(names: str, tbptt: TBPTT) -> None:
    module = ready(TextLines(names, batch_size=8, tbptt=tbptt))
    loader = module.train_dataloader()
    first, second = lines_of(module, loader), lines_of(module, loader)
    assert len(list(loader)) == len(loader)
    assert sorted(chain(*first)) == sorted(chain(*second))
    assert [len(batch[0]) for batch in first] != [len(batch[0]) for batch in second]
    assert np.mean([max(map(len, batch)) - min(map(len, batch)) for batch in first]) < 3
    rest = [lines_of(module, module.evaluation_dataloader(split)) for split in ("val", "test")]
    assert sorted(chain(*first, *chain(*rest))) == sorted(Path(names).read_text().split("\n"))
    assert [sum(map(len, batches)) for batches in (first, *rest)] == [180, 10, 10]


def test_training_part_can_be_measured_in_full(text: str, names: str) -> None:
    stream = ready(TextFile(text, batch_size=4, tbptt=TBPTT(16, 2)))
    loader = stream.evaluation_dataloader("train")
    assert sum(int((window.targets != IGNORE_INDEX).sum()) for window in loader) == 2699
    lines = ready(TextLines(names, tbptt=TBPTT(None, 2)))
    assert len(list(chain(*lines_of(lines, lines.evaluation_dataloader("train"))))) == 180


def test_lines_only_end_of_long_ones_scored(names: str) -> None:
    for window in ready(TextLines(names, batch_size=8, tbptt=TBPTT(None, 2))).train_dataloader():
        assert window.targets.shape[1] <= 2
        assert window.inputs.shape[1] == window.num_without_gradient + window.targets.shape[1]
        assert (window.targets != IGNORE_INDEX).any()


def test_k2_beyond_the_longest_line_is_refused(names: str) -> None:
    with pytest.raises(UserError, match=r"^tbptt\.k2=64: the longest sequence has 30 steps"):
        ready(TextLines(names, tbptt=TBPTT(64, 64)))


def same(first: Window, second: Window) -> bool:
    return all(
        a is b or torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_lines_resume_exactly_over_epochs(names: str, num_workers: int) -> None:
    module = ready(TextLines(names, batch_size=32, tbptt=TBPTT(7, 7), num_workers=num_workers))
    loader = module.train_dataloader()
    whole = [*loader, *loader]
    for stop in range(1, len(loader), 1 if num_workers == 0 else 9):
        resumed = module.train_dataloader()
        resumed.load_state_dict({"epoch": 0, "batches": stop, "batches_per_epoch": len(loader)})
        assert all(map(same, [*resumed, *resumed], whole[stop:]))
        assert resumed.state_dict()["epoch"] == 2


def test_bucketed_lines_are_a_function_of_seed_and_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 9, 50)

    def epoch(seed: int, number: int) -> list[list[int]]:
        order = BucketedLines(lengths, 4, TBPTT(None, None), seed)
        keys = list(order.keys(number, 0))
        assert len(keys) == len(order) == 13
        return [lines.tolist() for lines, _ in keys]

    assert epoch(1, 2) == epoch(1, 2)
    assert epoch(1, 2) != epoch(1, 3)
    assert epoch(1, 2) != epoch(2, 2)
    assert {frozenset(lines) for lines in epoch(1, 2)} != {frozenset(lines) for lines in epoch(1, 3)}
