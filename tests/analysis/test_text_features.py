"""What is told of each character, held against what is seen by eye."""

import numpy as np
import pytest
import torch

from seqmodels.analysis import Feature, default_features, time_since
from seqmodels.analysis.quotes import scan
from seqmodels.errors import UserError

FEATURES = {feature.name: feature for feature in default_features()}


def marked(name, text):
    """Shows where a feature holds."""
    return "".join("^" if value else "." for value in FEATURES[name].values(text).tolist())


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("inside quotes", """x = 'ab' + "c" """, """....^^^....^^.."""),
        ("inside single quotes", """x = 'ab' + "c" """, """....^^^........"""),
        ("inside double quotes", """x = 'ab' + "c" """, """...........^^.."""),
        ("inside triple quotes", '''f("""a"b""", "c")''', """..^^^^^^^^......."""),
        ("inside quotes", "don't say 'it isn't so' now", "..........^^^^^^^^^^^^....."),
        ("inside quotes", "rb'a' or b'c'", "..^^......^^."),
        ("inside quotes", r"'a\'b' c", "^^^^^..."),
        ("inside double quotes", '"one\ntwo" three', "^^^^^^^^......."),
        ("inside single quotes", "'one\ntwo", "^^^^...."),
        ("inside double quotes", '"one\n\n  two\n\nthree', "^" * 13 + "....."),
        ("inside double quotes", "“No,” he said", "^^^^........."),
        ("inside quotes", "# 'a\n'b'", ".....^^."),
        ("inside a comment", "a # b\n'#' c", "..^^^......"),
        ("inside brackets", "f(a[0], {})!", ".^^^^^^^^^.."),
        ("inside brackets", "a) (b] c", "...^^^^^"),
        ("inside brackets", "('(') x", "^^^^..."),
        ("inside brackets", "(a\n\nb", "^^^^."),
        ("word start", "ab _c 1d,e", "^..^..^..^"),
        ("digit", "a1 23", ".^.^^"),
        ("upper case", "Ab ÄÖ", "^..^^"),
    ],
)
def test_what_holds_at_each_character(name, text, expected):
    assert marked(name, text) == expected.ljust(len(text), ".")


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("bracket depth", "f(a[0])", [0, 1, 1, 2, 2, 1, 0]),
        ("bracket depth", "([)a", [1, 2, 0, 0]),
        ("indentation", "a\n  b c\n\td", [0, 0, 1, 2, 2, 2, 2, 0, 8, 8]),
        ("position in line", "  ab\n c", [0, 0, 1, 2, 0, 0, 1]),
        ("distance since newline", "ab\n\nc", [1, 2, 0, 0, 1]),
        ("time since a space", "a b", [1, 0, 1]),
    ],
)
def test_numbers_of_each_character(name, text, expected):
    assert FEATURES[name].values(text).tolist() == expected


def test_a_text_that_was_cut_out_of_a_docstring_begins_inside_it():
    text = 'def f():\n    """Adds\n    two.\n    """\n    return g("x")\n\n\ndef h():\n    """Adds."""\n'
    whole = np.array(scan(text).marks)
    for start in (10, 20, 25):
        assert scan(text[start:]).marks == tuple(whole[start:]), text[start:]


def test_a_text_before_which_nothing_was_cut_begins_outside_of_quotes():
    assert scan('#!/bin/python\n"""\nDoes it.\n"""\nx = 1\n').marks[-3:] == ("", "", "")


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("text", ["", "a", "'", '"""', "\\", "'\\", "((((", "\n\n\n"])
def test_any_text_has_a_value_for_each_character(name, text):
    assert FEATURES[name].values(text).shape == (len(text),)


def test_time_since_a_character_of_ones_own():
    assert time_since(":").name == "time since :"
    assert time_since(":").values("a:b").tolist() == [1, 0, 1]
    with pytest.raises(ValueError, match="character='ab': expected one character"):
        time_since("ab")


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_a_function_of_ones_own_may_give_a_list_an_array_or_a_tensor(make):
    def is_vowel(text):
        return make([character in "aeiou" for character in text])

    feature = Feature.of(is_vowel)
    assert feature.name == "is vowel"
    assert feature.values("bee").dtype == torch.bool
    assert feature.values("bee").tolist() == [False, True, True]
    assert Feature.of(feature) is feature


@pytest.mark.parametrize(
    "function, told",
    [
        (lambda text: [1, 2], r"features: wrong gave values of shape \(2,\) for a text of 3 characters; expected one"),
        (lambda text: ["a"] * 3, "features: wrong gave no truth values or numbers: "),
        (lambda text: None, "features: wrong gave "),
    ],
)
def test_a_function_that_gives_something_else_is_told_in_one_line(function, told):
    with pytest.raises(UserError, match=told) as error:
        Feature("wrong", function).values("abc")
    assert "\n" not in str(error.value)


def test_complex_numbers_are_refused_in_one_line():
    feature = Feature("turning", lambda text: [1j] * len(text))
    with pytest.raises(UserError, match=r"features: turning gave no truth values or numbers: they are complex$"):
        feature.values("abc")


def test_a_token_has_the_value_of_its_last_character_and_of_any_where_it_tells_of_characters():
    tokens = ["f", '("', "Ab", "", '")', " 7x"]
    assert FEATURES["inside quotes"].token_values(tokens).tolist() == [False, True, True, True, False, False]
    assert FEATURES["upper case"].token_values(tokens).tolist() == [False, False, True, False, False, False]
    assert FEATURES["digit"].token_values(tokens).tolist() == [False] * 5 + [True]
    assert FEATURES["bracket depth"].token_values(tokens).tolist() == [0, 1, 1, 1, 0, 0]
    assert FEATURES["digit"].token_values(["", ""]).tolist() == [False, False]
