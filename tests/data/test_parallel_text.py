"""The user's pairs of texts become batches of sources and targets, and requests."""

import numpy as np
import pytest
import torch

from seqmodels.data import (
    IGNORE_INDEX,
    TBPTT,
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    ParallelText,
    WordTokenizer,
    tokenizer_from_spec,
)
from seqmodels.errors import UserError

NUMBERS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four"}


def sentences(count, seed):
    generator = np.random.default_rng(seed)
    words = [generator.choice(list(NUMBERS), generator.integers(1, 7)) for _ in range(count)]
    return [(" ".join(line), " ".join(NUMBERS[word] for word in line)) for line in words]


def write(folder, part, pairs):
    (folder / f"{part}.de").write_text("".join(f"{source}\n" for source, _ in pairs))
    (folder / f"{part}.en").write_text("".join(f"{target}\n" for _, target in pairs))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pairs"
    place.mkdir()
    write(place, "train", sentences(60, 0))
    write(place, "val", sentences(9, 1))
    return place


def ready(path, **keywords):
    module = ParallelText(str(path), **{"batch_size": 8, "test_fraction": 0.0, **keywords})
    module.setup()
    return module


def written(module, loader):
    """Returns source and target of each row as they are read back, and checks what stands around them."""
    spec = module.spec
    target, source = tokenizer_from_spec(spec["tokenizer"]), tokenizer_from_spec(spec["context"]["tokenizer"])
    pairs = []
    for window in loader:
        for row in range(len(window.inputs)):
            steps, source_steps = int(window.lengths[row]), int(window.context_lengths[row])
            inputs, targets = window.inputs[row].tolist(), window.targets[row].tolist()
            context = window.context[row].tolist()
            assert inputs[0] == spec["bos"]
            assert inputs[1:steps] == targets[: steps - 1]
            assert targets[steps - 1] == spec["eos"]
            assert set(targets[steps:]) <= {IGNORE_INDEX}
            assert context[source_steps - 1] == spec["context"]["eos"]
            assert set(context[source_steps:]) <= {0}
            pairs.append((source.decode(context[: source_steps - 1]), target.decode(targets[: steps - 1])))
    return pairs


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize(
    "tokenizer",
    [WordTokenizer(), WordTokenizer(pretokenized=True), CharTokenizer(), ByteTokenizer(), BPETokenizer(260)],
)
def test_batches_hold_every_source_with_its_target(folder, tokenizer, joint):
    module = ready(folder, tokenizer=tokenizer, joint=joint)
    assert module.splits == ("train", "val")
    assert sorted(written(module, module.train_dataloader())) == sorted(sentences(60, 0))
    assert sorted(written(module, module.evaluation_dataloader("val"))) == sorted(sentences(9, 1))
    spec = module.spec
    assert (spec["kind"], spec["form"], spec["shape"]) == ("text", "lines", "sequence_to_sequence")
    assert spec["context"]["source_vocab_size"] == tokenizer_from_spec(spec["context"]["tokenizer"]).vocab_size
    assert spec["vocab_size"] == tokenizer_from_spec(spec["tokenizer"]).vocab_size
    same = spec["context"]["tokenizer"] == spec["tokenizer"]
    assert (spec["context"]["joint"], same) == (joint, joint)


def test_tokens_that_spaces_divide_come_back_as_they_were(tmp_path):
    pairs = [("ein zwei-jähriger , der 's mag .", "a two-year-old who does n't ( mind ) .")]
    write(tmp_path, "train", pairs)
    module = ready(tmp_path, tokenizer=WordTokenizer(pretokenized=True), val_fraction=0.0)
    assert written(module, module.train_dataloader()) == pairs
    assert module.spec["vocab_size"] == 3 + len(pairs[0][1].split())


def test_characters_per_token_are_those_of_targets(folder):
    pairs = sentences(9, 1)
    expected = sum(len(target) + 1 for _, target in pairs) / sum(len(target.split()) + 1 for _, target in pairs)
    assert ready(folder).spec["characters_per_token"]["val"] == pytest.approx(expected)


def test_each_side_may_have_a_tokenizer_of_its_own(folder):
    module = ready(folder, source_tokenizer=CharTokenizer())
    assert (module.spec["context"]["tokenizer"]["kind"], module.spec["tokenizer"]["kind"]) == ("char", "word")
    assert module.spec["vocab_size"] == 4 + 3
    with pytest.raises(UserError, match=r"^data\.joint=true"):
        ParallelText(str(folder), source_tokenizer=CharTokenizer(), joint=True)


def test_shares_are_drawn_where_no_files_are_given(folder):
    module = ready(folder, test_fraction=0.1)
    parts = {part: written(module, module.evaluation_dataloader(part)) for part in ("train", "val", "test")}
    assert [len(parts[part]) for part in ("train", "val", "test")] == [54, 9, 6]
    assert sorted(parts["train"] + parts["test"]) == sorted(sentences(60, 0))
    other = ready(folder, test_fraction=0.1, seed=1)
    assert sorted(written(other, other.evaluation_dataloader("test"))) != sorted(parts["test"])


def test_files_of_other_parts_are_named(folder, tmp_path):
    (tmp_path / "test.tsv").write_text("eins eins\tone one\n")
    files = [str(folder / "train.en"), str(folder / "train.de")]
    module = ParallelText(files, test_path=str(tmp_path / "test.tsv"), val_fraction=0.0)
    module.setup()
    assert module.splits == ("train", "test")
    assert sorted(written(module, module.train_dataloader())) == sorted(pair[::-1] for pair in sentences(60, 0))


def test_training_resumes_with_the_next_batch(folder):
    keywords = {"batch_tokens": 40, "tbptt": TBPTT(2, 3)}
    first = ready(folder, **keywords)
    loader = first.train_dataloader()
    assert len(loader) > 20
    batches, places = [], []
    for _ in range(2):
        for batch in loader:
            batches.append(batch)
            places.append(first.state_dict())
    for stop in range(0, len(batches) - 1, 9):
        second = ready(folder, **keywords)
        second.load_state_dict(places[stop])
        batch = next(iter(second.train_dataloader()))
        assert torch.equal(batch.inputs, batches[stop + 1].inputs)
        assert torch.equal(batch.context, batches[stop + 1].context)
        assert torch.equal(batch.context_lengths, batches[stop + 1].context_lengths)


def test_windows_over_the_target_keep_the_whole_source(folder):
    module = ready(folder, tbptt=TBPTT(2, 2))
    steps = 0
    for window in module.train_dataloader():
        assert window.inputs.shape[1] <= 2
        ends = window.context.gather(1, window.context_lengths[:, None] - 1)
        assert (ends == module.spec["context"]["eos"]).all()
        steps += int((window.targets != IGNORE_INDEX).sum())
    assert steps == sum(len(target.split()) + 1 for _, target in sentences(60, 0))


LONG = [("eins zwei drei vier", "one two three four")]


def test_texts_that_are_too_long_are_refused_left_out_or_cut(folder):
    write(folder, "train", [*LONG, ("eins", "one")])
    write(folder, "val", LONG)
    with pytest.raises(UserError) as caught:
        ready(folder, max_source_length=3)
    assert str(caught.value).startswith(
        f"{folder / 'train.de'} line 1: the source has 4 tokens, more than data.max_source_length=3; data.too_long=skip"
    )
    with pytest.raises(
        UserError, match=r"train\.en line 1: the target has 4 tokens, more than data\.max_target_length=2"
    ):
        ready(folder, max_target_length=2)
    assert len(written(*parts_of(folder, max_source_length=4, max_target_length=4))) == 2
    assert written(*parts_of(folder, max_target_length=2, too_long="skip")) == [("eins", "one")]
    cut = written(*parts_of(folder, max_source_length=3, max_target_length=2, too_long="cut"))
    assert sorted(cut) == [("eins", "one"), ("eins zwei drei", "one two")]
    # What is measured on stays whole.
    module, _ = parts_of(folder, max_source_length=3, max_target_length=2, too_long="cut")
    assert written(module, module.evaluation_dataloader("val")) == LONG
    write(folder, "train", LONG)
    with pytest.raises(UserError, match=r"^data\.max_source_length=3, data\.max_target_length=null: no pair"):
        ready(folder, max_source_length=3, too_long="skip")
    with pytest.raises(UserError, match=r"^data\.max_source_length=0"):
        ready(folder, max_source_length=0)


def parts_of(folder, **keywords):
    module = ready(folder, **keywords)
    return module, module.evaluation_dataloader("train")


def test_batch_sizes_out_of_range_are_told(folder):
    with pytest.raises(UserError, match=r"^data\.batch_tokens=0: expected an integer of at least 1"):
        ready(folder, batch_tokens=0)
    with pytest.raises(UserError, match=r"^data\.batch_size=0"):
        ready(folder, batch_size=0)


def again(folder, **keywords):
    """Returns the data of a run that was trained, as prediction has them."""
    trained = ready(folder, **keywords)
    return ParallelText(str(folder), **keywords, spec=trained.spec)


def test_requests_are_read_in_order_with_what_is_wrong_with_them(folder, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"eins sieben\n\nzwei\tignored\nzw\nvier vier vier vier\n\xe9\n")
    requests = again(folder, max_source_length=3, too_long="skip").read_requests(str(tmp_path / "a.txt"))
    assert [request.line for request in requests] == [1, 2, 3, 4, 5, 6]
    path = tmp_path / "a.txt"
    assert [request.problem for request in requests] == [
        None,
        f"{path} line 2: there is no text",
        None,
        None,
        f"{path} line 5: the source has 4 tokens, more than data.max_source_length=3",
        f"{path} line 6: byte 0xe9 is not valid UTF-8",
    ]
    assert [request.items for request in requests[:3:2]] == [[{"source": "eins sieben"}], [{"source": "zwei"}]]
    spec = ready(folder).spec
    example = requests[0].example
    assert example.inputs.tolist() == [spec["bos"]]
    assert example.context.tolist()[1:] == [spec["context"]["unk"], spec["context"]["eos"]]
    assert tokenizer_from_spec(spec["context"]["tokenizer"]).decode(requests[2].example.context) == "zwei"


def test_requests_are_read_from_tables(folder, tmp_path):
    (tmp_path / "a.csv").write_text('source,more\n"eins, zwei",1\n')
    (tmp_path / "a.tsv").write_text("eins\tone\nzwei\n")
    data = again(folder)
    (request,) = data.read_requests(str(tmp_path / "a.csv"))
    assert (request.line, request.items) == (2, [{"source": "eins, zwei"}])
    assert [request.items for request in data.read_requests(str(tmp_path / "a.tsv"))] == [
        [{"source": "eins"}],
        [{"source": "zwei"}],
    ]
    (tmp_path / "b.tsv").write_text("n\tgerman\n1\tvier\n")
    (tmp_path / "train.jsonl").write_text('{"german": "eins", "english": "one"}\n' * 4)
    named = {"source": "german", "target": "english", "val_fraction": 0.0, "test_fraction": 0.0}
    spec = ready(tmp_path / "train.jsonl", **named).spec
    (request,) = ParallelText(str(tmp_path / "train.jsonl"), **named, spec=spec).read_requests(str(tmp_path / "b.tsv"))
    assert request.items == [{"source": "vier"}]
    # Endings of files in a folder name no column.
    by_ending = ParallelText(str(folder), source="de", target="en", spec=data.earlier)
    assert by_ending.read_requests(str(tmp_path / "a.tsv"))[0].items == [{"source": "eins"}]


def test_a_run_keeps_its_vocabularies(folder, tmp_path):
    spec = ready(folder, joint=True).spec
    (tmp_path / "other.tsv").write_text("neun vier\tnine four\n" * 4)
    module = ParallelText(str(tmp_path / "other.tsv"), val_fraction=0.0, test_fraction=0.0, joint=True, spec=spec)
    module.setup()
    assert module.spec["tokenizer"] == spec["tokenizer"]
    with pytest.raises(UserError, match=r"data\.joint=false: this run was trained with data\.joint=true"):
        ParallelText(str(folder), spec=spec).setup()
    with pytest.raises(UserError, match=r"data\.copy_unknown=true: this run was trained with data\.copy_unknown=false"):
        ParallelText(str(folder), joint=True, copy_unknown=True, spec=spec).setup()
    assert written(module, module.train_dataloader())[0] == ("<unk> vier", "<unk> four")
    with pytest.raises(UserError, match="trained on something else"):
        ParallelText(str(folder), spec={"shape": "one_to_many"}).setup()
    with pytest.raises(UserError, match="only a trained run can write"):
        ready(folder).read_requests("a.txt")


def test_references_are_the_texts_as_they_were_written(folder):
    write(folder, "val", [("eins", "one  apple , never seen")])
    module = ready(folder, tokenizer=WordTokenizer())
    window = next(iter(module.evaluation_dataloader("val")))
    assert window.references == ("one  apple , never seen",)
    assert "<unk>" in tokenizer_from_spec(module.spec["tokenizer"]).decode(window.targets[0].tolist())


def test_a_run_of_a_folder_reads_a_table_by_a_column_that_is_named(folder, tmp_path):
    (tmp_path / "in.csv").write_text("n,german\n1,vier\n")
    (tmp_path / "in.tsv").write_text("n\tgerman\n1\tvier\n")
    spec = ready(folder).spec
    for name in ("in.csv", "in.tsv"):
        read = ParallelText(str(folder), source="german", spec=spec).read_requests(str(tmp_path / name))
        assert [request.items for request in read] == [[{"source": "vier"}]]
    for source in (None, "de"):
        with pytest.raises(UserError) as caught:
            ParallelText(str(folder), source=source, spec=spec).read_requests(str(tmp_path / "in.csv"))
        assert str(caught.value).startswith(f"data.source=source: {tmp_path / 'in.csv'} has no such column; there are:")
    (tmp_path / "named.tsv").write_text("source\ttarget\nvier\tfour\n")
    (tmp_path / "alone.tsv").write_text("source\nvier\n")
    for name in ("named.tsv", "alone.tsv"):
        read = ParallelText(str(folder), source="de", spec=spec).read_requests(str(tmp_path / name))
        assert [(request.line, request.items) for request in read] == [(2, [{"source": "vier"}])]


def test_a_source_is_read_as_a_line_of_a_file_is(folder):
    data = again(folder, tokenizer=CharTokenizer())
    example = data.read_source("  eins zwei ")
    assert example.context.tolist() == data.read_source("eins zwei").context.tolist()


def test_files_of_a_folder_that_are_not_read_are_refused(folder, tmp_path):
    write(folder, "test2016", sentences(5, 2))
    with pytest.raises(UserError, match=r"test2016\.de is of no part"):
        ready(folder)
    files = [str(folder / "test2016.de"), str(folder / "test2016.en")]
    assert ready(folder, test_path=files).splits == ("train", "val", "test")
