"""Predictions of a trained run for a file of the user's, in the order of that file."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from seqmodels.building import build
from seqmodels.data import DataModule, Example, Form, Request, collate
from seqmodels.decoding import BeamSearch, Writing
from seqmodels.errors import UserError
from seqmodels.evaluation import build_task, changed_data
from seqmodels.runs import Run, from_files, load_model
from seqmodels.tasks import LanguageModelling, Task, Transcription
from seqmodels.tasks.reporting import Row

FORMATS = (".csv", ".tsv", ".jsonl")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # full width too
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def predict(
    run: Run,
    path: str,
    data_overrides: dict[str, Any],
    batch_size: int,
    device: str,
    writing: Writing | None = None,
) -> Iterator[Row]:
    """Predicts something of every row of a file.

    Rows of about the same length share a batch, and come out in the order of the file.

    Args:
        run: The run.
        path: The user's file, in the format of the run's data.
        data_overrides: Keys under `data` that differ from the run's own, such as another `text_column`.
        batch_size: Rows in a batch.
        device: "cpu" or "cuda".
        writing: What is asked of the texts, where the run writes them; each step's likeliest token where left out.

    Yields:
        The line that a prediction is for, of a folder its file too, and the prediction; or these and the problem. A row
        of several steps gives a row for each, one for which several texts are found too.

    Raises:
        UserError: Where nothing of the file can be read, or something is asked of texts where none are written.
    """
    if run.spec.get("form") == "stream":
        raise UserError(
            f"input={path}: this run learned one long text, which has no rows to predict; seqmodels generate writes "
            "with it, and seqmodels evaluate data.path= measures it on another text"
        )
    config = {**run.config, "data": changed_data(run.config["data"], data_overrides)}
    with from_files(run.path):
        model = load_model(run)
        data = build(config["data"], "data", spec=run.spec)
        requests = data.read_requests(path)
        task = build_task(config, model, run.spec).to(device).eval()
    if not requests:
        raise UserError(f"input={path}: there is nothing in it to predict anything for")
    if writing is not None and writing.asked():
        _set_writing(task, writing, run.spec)
    rows = _rows(task, requests, run.spec, batch_size)
    for number, request in enumerate(requests):
        if request.problem is not None:
            yield {**_place(request), "problem": request.problem}
        for place, row in enumerate(rows.get(number, [])):
            items = request.items or [{}]
            named = items[0] if len(items) == 1 else items[place]
            if "problem" in row:
                row = {"problem": f"{request.file or path} line {request.line}: {row['problem']}"}
            yield {**_place(request), **(named if isinstance(named, dict) else {"item": named}), **row}


def _set_writing(task: Task, writing: Writing, spec: dict[str, Any]) -> None:
    """Has a task write as is asked for.

    Raises:
        UserError: Where it writes nothing, or knows nothing but the size of a beam.
    """
    if isinstance(task, Transcription):
        task.beam_size = writing.beam_of_labels() or task.beam_size
    elif isinstance(task, LanguageModelling) and spec.get("context") is not None:
        task.writing = writing
    else:
        name, value = next(iter(writing.asked().items()))
        raise UserError(f"{name}={value}: this run writes no texts of its rows; leave it out")


def _place(request: Request) -> Row:
    """Returns where a request stands: its line, or its number and its file."""
    return {"line": request.line} if request.file is None else {"line": request.line, "file": request.file}


def _rows(task: Task, requests: Sequence[Request], spec: dict[str, Any], batch_size: int) -> dict[int, list[Row]]:
    """Returns the rows of each request that could be read."""
    found: dict[int, list[Row]] = {}
    examples = {number: request.example for number, request in enumerate(requests) if request.example is not None}
    by_length = sorted(examples, key=lambda number: _length(examples[number]))
    for start in range(0, len(by_length), batch_size):
        numbers = by_length[start : start + batch_size]
        batch = collate([examples[number] for number in numbers], form=Form.of(spec))
        with torch.no_grad():
            found |= zip(numbers, task.predict_rows(batch.on(task.device), spec), strict=True)
    return found


def _length(example: Example) -> tuple[int, int]:
    """Returns the steps of an example, and those of what it is conditioned on; 0 where that has none, as a class."""
    context = example.context
    return len(example.inputs), len(context) if context is not None and context.ndim else 0


def read_source(run: Run, source: str) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Reads one source that something is to be written for, as the data of a run do.

    Args:
        run: The run.
        source: A text, or the file of a recording.

    Returns:
        The source `(steps, ...)`, and what of it can be copied although the vocabulary lacks it.

    Raises:
        UserError: Where it cannot be read, or the run makes nothing of sources.
    """
    if not source.strip():
        raise UserError(f"source={source}: there is no text; expected one, or the file of a recording")
    with from_files(run.path):
        data: DataModule = build(run.config["data"], "data", spec=run.spec)
        example = data.read_source(source)
    return torch.from_numpy(example.context), example.words or ()


def transcribe(run: Run, source: str, beam_size: int | None = None) -> str:
    """Returns what a run of transcription reads in one source, see `read_source`, with its own beam where left out."""
    with from_files(run.path):
        data: DataModule = build(run.config["data"], "data", spec=run.spec)
        task = build_task(run.config, load_model(run), run.spec).eval()
    _set_writing(task, Writing(None if beam_size is None else BeamSearch(beam_size)), run.spec)
    with torch.no_grad():
        ((row,),) = task.predict_rows(collate([data.read_source(source)], form=Form.of(run.spec)), run.spec)
    return str(row["prediction"])


def write_rows(rows: Iterable[Row], path: str) -> tuple[int, list[Row]]:
    """Writes rows as CSV, tab-separated values or JSON Lines, by the file's suffix; the file appears when it is whole.

    Args:
        rows: Names and values; in CSV a mapping becomes a column for each of its keys, a list one text. A text that
            a spreadsheet would take for a formula gets a `'` before it, in CSV and tab-separated values alone.
        path: The file.

    Returns:
        How many predictions were written, and the rows that told of a problem instead.

    Raises:
        UserError: For another suffix, or where it cannot be written.
    """
    target = Path(path).expanduser()
    check_output(path)
    kept = list(rows)
    beside = target.with_name(f".{target.name}.part")
    try:
        with beside.open("w", newline="", encoding="utf-8") as file:
            _write(kept, file, target.suffix)
        beside.replace(target)
    except OSError as error:
        raise UserError(f"output={path}: cannot be written: {error.strerror}") from error
    problems = [row for row in kept if "problem" in row]
    return len(kept) - len(problems), problems


def check_output(path: str) -> None:
    """Refuses a file that could not be written, before anything is computed.

    Raises:
        UserError: For another suffix, or a folder that is not there.
    """
    target = Path(path).expanduser()
    if target.suffix not in FORMATS:
        raise UserError(f"output={path}: expected a file that ends in {', '.join(FORMATS)}")
    if not target.parent.is_dir():
        raise UserError(f"output={path}: there is no folder {target.parent}")


def _write(rows: Sequence[Row], file: IO[str], suffix: str) -> None:
    if suffix == ".jsonl":
        file.writelines(json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows)
        return
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row if name != "problem"))
    if any("problem" in row for row in flat):
        columns.append("problem")
    writer = csv.DictWriter(file, columns, delimiter="\t" if suffix == ".tsv" else ",", restval="")
    writer.writeheader()
    writer.writerows(flat)


def _flat(row: Row) -> Row:
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{key}": inner for key, inner in value.items()}
        else:
            flat[name] = ";".join(map(str, value)) if isinstance(value, list) else value
    return {_harmless(name): _harmless(value) for name, value in flat.items()}


def _harmless(value: Any) -> Any:
    """Returns what no spreadsheet runs: formulas begin with `=`, `+`, `-`, `@`, tab or return, and so does text.

    OWASP, "CSV injection" (https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay, as text too.
    """
    is_formula = isinstance(value, str) and value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
