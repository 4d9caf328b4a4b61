"""One page that shows everything: no network, no other file; and the same as pictures and numbers."""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqmodels.views.view import Looked, Section, Table

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def write_report(folder: Path, title: str, facts: Mapping[str, str], looked: Looked) -> Path:
    """Writes `index.html`, a PNG for each picture and a JSON file of the numbers of each section.

    Args:
        folder: Where; it is made where it is not there.
        title: The heading.
        facts: What the report is of, by name.
        looked: What is shown.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, section in looked.sections.items():
        for key, drawn in looked.drawn[name].items():
            (folder / f"{name}_{key}.png").write_bytes(drawn)
        (folder / f"{name}.json").write_text(json.dumps(section.numbers, indent=1, ensure_ascii=False) + "\n", "utf-8")
        shown.append(_section(name, section, looked.drawn[name]))
    page = folder / "index.html"
    page.write_text(_page(title, facts, looked, shown), encoding="utf-8")
    return page


def show_in_tensorboard(board: "SummaryWriter", looked: Looked, step: int) -> None:
    """Writes pictures to TensorBoard, and vectors to its projector.

    Args:
        board: Writes to the run's folder.
        looked: What is shown.
        step: Updates so far.
    """
    from PIL import Image

    for name, section in looked.sections.items():
        for key, drawn in looked.drawn[name].items():
            with Image.open(io.BytesIO(drawn)) as picture:
                board.add_image(f"{name}/{key}", np.asarray(picture.convert("RGB")), step, dataformats="HWC")
        for key, vectors in section.vectors.items():
            tag = f"{name}_{key}"
            if not (Path(board.log_dir) / f"{step:05d}" / tag).exists():  # of the same weights, from an earlier look
                board.add_embedding(vectors.values, metadata=list(vectors.labels), tag=tag, global_step=step)


def _page(title: str, facts: Mapping[str, str], looked: Looked, shown: Sequence[str]) -> str:
    sections, left_out = looked.sections, looked.left_out
    links = "".join(f'<a href="#{name}">{escape(section.title)}</a>' for name, section in sections.items())
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items())
    style = _part("report.css") + "".join(section.style for section in sections.values())
    rest = ""
    if left_out:
        reasons = "".join(f"<li><b>{escape(name)}</b>: {escape(reason)}</li>" for name, reason in left_out.items())
        rest = f'<section id="left-out"><h2>Not shown</h2><ul>{reasons}</ul></section>'
    values = {
        "title": escape(title),
        "style": style,
        "links": links,
        "facts": told,
        "sections": "".join(shown) + rest,
    }
    page = _part("report.html")
    return "".join(values.get(piece, piece) for piece in page.split("@@"))


def _part(name: str) -> str:
    return files("seqmodels.views").joinpath(name).read_text("utf-8")


def _section(name: str, section: Section, drawn: Mapping[str, bytes]) -> str:
    parts = [f"<p>{escape(text)}</p>" for text in section.paragraphs]
    parts.append(section.markup)
    for key, picture in section.pictures.items():
        data = base64.b64encode(drawn[key]).decode()
        caption = escape(picture.caption)
        image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
        parts.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    parts += [_table(table) for table in section.tables]
    if section.script:
        # `</` would end the element wherever it stands.
        script = section.script.replace("</", "<\\/")
        parts.append(f"<script>(function (section) {{{script}\n}})(document.getElementById('{name}'));</script>")
    return f'<section id="{name}"><h2>{escape(section.title)}</h2>{"".join(parts)}</section>\n'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(str(column))}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>"
    return f'<div class="scroll"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cells(row: Sequence[Any]) -> Iterator[str]:
    for value in row:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        text = "–" if text == "nan" else text
        yield f"<td{' class=number' if is_number else ''}>{escape(text)}</td>"
