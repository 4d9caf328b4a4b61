"""Texts that a model has written, for whoever reads them."""

import sys

from seqmodels.errors import escaped


def for_reader(text: str) -> str:
    """Returns what to print of a text: on a terminal without what would steer it; a pipe or a file gets all."""
    return escaped(text, kept="\n\t") if sys.stdout.isatty() else text
