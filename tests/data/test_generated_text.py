from pathlib import Path

import pytest

from seqmodels.data import BracketsDepth, GeneratedText, PrefixParity, SentenceOrder, tokenizer_from_spec
from seqmodels.errors import UserError

PROBLEMS = [SentenceOrder(), BracketsDepth(), PrefixParity()]


def ready(problem, **keywords) -> GeneratedText:
    module = GeneratedText(problem, train_size=20, val_size=4, test_size=4, batch_size=4, **keywords)
    module.setup()
    return module


@pytest.mark.parametrize("problem", PROBLEMS)
def test_ids_are_those_of_the_tokenizer_in_the_spec(problem, tmp_path: Path) -> None:
    module = ready(problem)
    spec = module.spec
    tokenizer = tokenizer_from_spec(spec["tokenizer"])
    assert spec["inputs"] == {"kind": "tokens", "vocab_size": tokenizer.vocab_size}
    (window,) = module.evaluation_dataloader("test")
    row = window.inputs[0][: window.lengths[0]].tolist()
    assert 0 not in row
    (tmp_path / "a.txt").write_text(tokenizer.decode(row) + "\n")
    (request,) = module.read_requests(str(tmp_path / "a.txt"))
    assert request.example is not None
    assert request.example.inputs.tolist() == row
    each_step = spec["shape"] == "many_to_many"
    assert request.example.targets.shape == ((len(row),) if each_step else ())
    assert window.targets.ndim == (2 if each_step else 1)
    assert int(window.targets.max()) < len(spec["targets"]["classes"])


def test_requests_name_steps_and_tell_what_never_occurs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,more\n"((.)",1\n"(x)",2\n')
    first, second = ready(BracketsDepth()).read_requests(str(tmp_path / "a.csv"))
    assert first.items == ["(", "(", ".", ")"]
    assert second.line == 3
    assert str(second.problem).endswith("line 3: 'x' never occurs in these data")
    (tmp_path / "b.jsonl").write_text('{"body": "The film was fine."}\n{"body": "the film was fine , not bad"}\n')
    first, second = ready(SentenceOrder(), text_column="body").read_requests(str(tmp_path / "b.jsonl"))
    assert "'The' never occurs" in str(first.problem)
    assert second.items is None
    assert second.example is not None
    assert len(second.example.inputs) == 7


def test_sizes_out_of_range_are_told() -> None:
    with pytest.raises(UserError, match=r"^data\.train_size=0"):
        GeneratedText(PrefixParity(), train_size=0)
