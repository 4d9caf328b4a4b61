from pathlib import Path

import pytest

from seqmodels.data.formats.conll import Sentence, read_conll, read_conll_words
from seqmodels.errors import UserError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def row(number: str, form: str, upos: str = "X") -> str:
    return "\t".join([number, form, form.lower(), upos, "_", "_", "0", "root", "_", "_"]) + "\n"


@pytest.fixture
def conllu(tmp_path: Path) -> Path:
    content = (
        "# sent_id = 1\n"
        + row("1-2", "don't", "_")
        + row("1", "Do", "AUX")
        + row("2", "n't", "PART")
        + row("2.1", "ghost", "VERB")
        + "\n# text = 10 000\n"
        + row("1", "10 000", "NUM")
    )
    return write(tmp_path / "a.conllu", content)


def test_ranges_empty_nodes_and_comments_are_left_out(conllu: Path) -> None:
    assert read_conll(conllu, tag_column="upos") == [
        Sentence(3, ["Do", "n't"], ["AUX", "PART"]),
        Sentence(8, ["10 000"], ["NUM"]),
    ]


def test_columns_by_name_and_number(conllu: Path) -> None:
    assert read_conll(conllu, "lemma", "DEPREL")[0] == Sentence(3, ["do", "n't"], ["root", "root"])
    assert read_conll(conllu, 1, 3) == read_conll(conllu, "form", "upos")
    assert read_conll(conllu)[1] == Sentence(8, ["10 000"], None)


def test_plain_conll(tmp_path: Path) -> None:
    content = (
        "#begin document (a); part 000\n-DOCSTART- -X- O\n# NN O\nEmma  NNP\tB-PER\r\n10\u00a0000 CD O\n\n\n \nYes UH O"
    )
    path = write(tmp_path / "a.txt", content)
    assert read_conll(path, tag_column=-1) == [
        Sentence(3, ["#", "Emma", "10\u00a0000"], ["O", "B-PER", "O"]),
        Sentence(9, ["Yes"], ["O"]),
    ]
    assert read_conll(path, tag_column=1)[0].tags == ["NN", "NNP", "CD"]


BROKEN = [
    ("a.conll", "a X\n\nb X\nc\nd\n\ne X\n", -1, r"a\.conll line 4: 1 column; expected 2, as in the lines before"),
    ("a.conll", "a X\n\nb X\nc \x00\xff\xfe X\n\ne X\n".encode("latin-1"), -1, "line 4: byte 0xff is not valid UTF-8"),
    ("a.conllu", row("1", "a") + "\n" + row("1", "b") + "2\tc\tX\n\n" + row("1", "e"), "upos", "line 4: 3 columns; ex"),
    ("a.conllu", row("1", "a") + "\n" + row("1", "b") + row("x", "c") + "\n" + row("1", "e"), "upos", "line 4: 'x' in"),
    (
        "a.conllu",
        row("1", "a") + "\n" + row("1", "b") + row("2", "") + "\n" + row("1", "e"),
        "upos",
        "line 4: data.wor",
    ),
]


@pytest.mark.parametrize(("name", "content", "tags", "message"), BROKEN)
def test_broken_line_is_told_and_other_sentences_go_on(
    tmp_path: Path, name: str, content: str | bytes, tags: str | int, message: str
) -> None:
    path = write(tmp_path / name, content)
    first, broken, last = read_conll_words(path)
    assert (first.words, last.words) == (["a"], ["e"])
    assert broken.line == 3
    with pytest.raises(UserError, match=message):
        raise UserError(broken.problem)
    with pytest.raises(UserError, match=message):
        read_conll(path, tag_column=tags)


COMMENTED = [
    "# global.columns = FORM TAG\na X\nb Y\n\n# text = a sentence of words\na Y\n",
    "# two words\n\na X\nb Y\n\n# text = a\n# and more to say\na Y\n",
    "# id = 1\na 1 2 X\nb 3 4 Y\n\n# id = 2\na 5 6 Y\n",  # a comment with as many columns as a word has
    "# one\na\tX\nb\tY\n\n# two\na\tY\n",
]


@pytest.mark.parametrize("content", COMMENTED)
def test_comments_before_a_sentence_are_no_words(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "a.conll", content)
    assert [(one.words, one.tags) for one in read_conll(path, tag_column=-1)] == [
        (["a", "b"], ["X", "Y"]),
        (["a"], ["Y"]),
    ]
    assert [one.words for one in read_conll_words(path)] == [["a", "b"], ["a"]]


def test_number_sign_is_a_word_where_it_has_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "# text = a sentence\n# X\na Y\n# X\n\n# X\n\n#tag Y\n")
    assert read_conll(path, tag_column=-1) == [
        Sentence(2, ["#", "a", "#"], ["X", "Y", "X"]),
        Sentence(6, ["#"], ["X"]),
        Sentence(8, ["#tag"], ["Y"]),
    ]


def test_words_without_annotation_have_no_tag(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conllu", row("1", "a", "_") + row("2", "b", "NOUN"))
    assert read_conll(path, tag_column="upos")[0].tags == [None, "NOUN"]
    # Here it is a value.
    assert read_conll(path, tag_column="feats")[0].tags == ["_", "_"]
    plain = write(tmp_path / "a.conll", "a _\nb X\n")
    assert read_conll(plain, tag_column=-1)[0].tags == ["_", "X"]


def test_words_are_not_their_own_tags(tmp_path: Path, conllu: Path) -> None:
    path = write(tmp_path / "a.conll", "a\nb\n")
    with pytest.raises(UserError, match=r"line 1: data\.word_column=0 and data\.tag_column=-1 are .* of 1 column; exp"):
        read_conll(path, tag_column=-1)
    assert read_conll(path)[0].words == ["a", "b"]
    with pytest.raises(
        UserError, match=r"line 3: data\.word_column=1 and data\.tag_column=1 are .* of 10 columns; exp"
    ):
        read_conll(conllu, tag_column="form")


def test_missing_columns(tmp_path: Path, conllu: Path) -> None:
    plain = write(tmp_path / "a.conll", "a X\n")
    for path, tags, message in [
        (conllu, "pos", r"^data\.tag_column=pos: CoNLL-U has no such column; there are: id, form, lemma, upos"),
        (conllu, 10, r"^data\.tag_column=10: CoNLL-U has columns 0 to 9"),
        (plain, "upos", r"^data\.tag_column=upos: the columns of plain CoNLL have no names; expected a number"),
        (plain, 2, r"a\.conll line 1: data\.tag_column=2: there are 2 columns, 0 to 1"),
    ]:
        with pytest.raises(UserError, match=message):
            read_conll(path, tag_column=tags)
    with pytest.raises(UserError, match=r"^data\.word_column=word: CoNLL-U has no such column"):
        read_conll(conllu, "word")


def test_file_without_sentence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.conll: there is no sentence in this file"):
        read_conll(write(tmp_path / "a.conll", "-DOCSTART- O\n\n"), tag_column=-1)
