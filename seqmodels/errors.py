"""The one exception that tells a user's mistake from a fault of the program, and words that steer no terminal."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST = 2000


def one_line(text: str) -> str:
    """Returns a line that steers no terminal and fits on a screen, whatever a file of a stranger's put into it.

    Example:
        >>> one_line("two\\nlines, \\x1b[31mred")
        'two lines, \\\\x1b[31mred'
    """
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def escaped(text: str, kept: str = "") -> str:
    """Returns text whose control characters are written out, but for those that are kept.

    Example:
        >>> escaped("one\\ntwo, \\x1b[31mred", kept="\\n")
        'one\\ntwo, \\\\x1b[31mred'
    """
    return _CONTROL.sub(lambda match: match[0] if match[0] in kept else f"\\x{ord(match[0]):02x}", text)


class UserError(ValueError):
    """A mistake in what the user gave: a key, a value, a file.

    The message is one line that names the key or file, the value, and what would be valid. Commands print it without a
    traceback and exit with 1.

    Example:
        >>> raise UserError("data.batch_size=-3: expected an integer of at least 1")
        Traceback (most recent call last):
        ...
        seqmodels.errors.UserError: data.batch_size=-3: expected an integer of at least 1
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))
