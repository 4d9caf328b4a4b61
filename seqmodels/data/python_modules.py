"""The standard library's source, as a text that every Python brings along."""

import sysconfig
from pathlib import Path

from seqmodels.errors import UserError

# Plain ASCII modules that Python 3.11 to 3.14 all have, in one file each.
MODULES = [
    "argparse",
    "calendar",
    "cmd",
    "configparser",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "difflib",
    "fileinput",
    "gzip",
    "http/client",
    "http/server",
    "json/decoder",
    "json/encoder",
    "logging/__init__",
    "os",
    "pickle",
    "pprint",
    "queue",
    "random",
    "shutil",
    "smtplib",
    "socket",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "unittest/case",
]


def python_files() -> list[Path]:
    """Returns the files of `MODULES`, sorted.

    Raises:
        UserError: Where this Python has no source of its standard library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    files = [folder / f"{module}.py" for module in sorted(MODULES)]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: this Python lacks the source; data=text_file data.path= takes a text of your own")
    return files
