"""What the README shows works: its Python runs, its commands exist, its files are there."""

import re
from pathlib import Path

import pytest

from seqmodels.commands.composing import compose
from seqmodels.commands.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_in_the_readme_runs(code):
    exec(compile(code, "README.md", "exec"), {})


def test_commands_in_the_readme_compose():
    lines = re.findall(r"^    seqmodels (\w+) (.+)$", README, re.MULTILINE)
    assert len(lines) >= 6
    for command, arguments in lines:
        assert command in COMMANDS
        words = arguments.split()
        if command == "train" and "-m" not in words:
            assert compose([word for word in words if not word.startswith("resume=")])


def test_links_lead_somewhere():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
