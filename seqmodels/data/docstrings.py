"""First lines of the standard library's docstrings, as lines that every Python brings along."""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqmodels.data.cache import cached
from seqmodels.data.corpus import CorpusConfig
from seqmodels.data.files import find_files
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.text import TextConfig
from seqmodels.data.tokenizers import CharTokenizer, Tokenizer
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

FILE = "docstrings.txt"
MIN_LINES = 500


def docstring_file(cache_dir: str | None = None) -> Path:
    """Returns a file with the first line of each docstring in the modules of the standard library, each line once.

    Modules are read and parsed, never imported; those in packages are left out.

    Args:
        cache_dir: Where the file is kept; `None` is the default cache.

    Raises:
        UserError: Where this Python has no source of its standard library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    modules = sorted(file for file in folder.glob("*.py") if not file.name.startswith("_"))
    sizes = [(file.name, file.stat().st_size) for file in modules]

    def write(place: Path) -> None:
        lines = list(dict.fromkeys(line for module in modules for line in first_lines(module)))
        if len(lines) < MIN_LINES:
            raise UserError(f"{folder}: this Python lacks the source; data.path= takes lines of your own")
        (place / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def find(place: Path) -> Path:
        (place / FILE).stat()  # raises where it is gone
        return place / FILE

    return cached(cache_dir, {"docstrings": 1, "modules": sizes}, build=write, load=find)


def first_lines(module: Path) -> Iterator[str]:
    """Yields the first line of each docstring in a module: its own, its classes' and its functions'."""
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            line = (ast.get_docstring(node) or "").strip().partition("\n")[0].strip()
            if line:
                yield line


class DocstringLines(DataModule):
    """One sequence in each line: the first lines of docstrings, or those of the user's text.

    Args:
        path: A UTF-8 file, a folder, or a list of them; the standard library's docstrings where left out.
        glob: As in `TextLines`, as are the others.
    """

    def __init__(
        self,
        path: str | list[str] | None = None,
        glob: str = "**/*.txt",
        tokenizer: Tokenizer | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        cache_dir: str | None = None,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        self.path, self.glob = path, glob
        corpus = CorpusConfig("lines", val_fraction, test_fraction, seed)
        self.config = TextConfig(corpus, tokenizer or CharTokenizer(), batch_size, cache_dir, tbptt, spec)

    def load(self) -> Loaded:
        """Reads the files, and gathers the docstrings first where none is given."""
        path = str(docstring_file(self.config.cache_dir)) if self.path is None else self.path
        return self.config.load(find_files(path, self.glob))

    def read_requests(self, path: str) -> list[Request]:
        """Reads the lines of a file, to tell how likely each is."""
        return self.config.requests(path)
