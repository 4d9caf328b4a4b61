"""First lines of docstrings."""

import ast
import textwrap

from seqmodels.data import DocstringLines
from seqmodels.data.docstrings import docstring_file, first_lines


def test_first_lines_are_those_of_modules_classes_and_functions(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        textwrap.dedent('''
            """
            The module.

            More of it.
            """
            "no docstring"
            class A:
                "A class."
                async def f(self):
                    """  Waits.  """
            def g():
                "" ""
            def h():
                return "nothing"
        ''')
    )
    assert sorted(first_lines(module)) == ["A class.", "The module.", "Waits."]


def test_the_standard_library_has_thousands_and_is_read_once(cache, monkeypatch):
    file = docstring_file()
    lines = file.read_text("utf-8").splitlines()
    assert len(lines) == len(set(lines)) > 2000
    assert "Pretty-print a Python object to a stream [default is sys.stdout]." in lines
    monkeypatch.setattr(ast, "parse", None)  # what is in the cache is not parsed again
    assert docstring_file() == file


def test_a_file_takes_the_place_of_the_docstrings(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join(f"name{n}" for n in range(60)))
    module = DocstringLines(str(path))
    module.setup("fit")
    assert module.spec["characters"]["train"] + module.spec["characters"]["val"] > 300
    assert set("name0123456789") == {chr(code) for code in module.spec["tokenizer"]["codes"]}
