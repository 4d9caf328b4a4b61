"""ABC notation: what is a tune, and what of it does not parse."""

import pytest

from seqmodels.data.formats.abc import problems_of, split_tunes

HEADER = "X:1\nT:A tune\nM:6/8\nL:1/8\nK:D\n"


@pytest.mark.parametrize(
    "body",
    [
        "^^a__b=c'A,,2B/2c3/2d//e/",
        "z2ax3Z4|y",
        "|:a||b|]c:|[|a::b:|:c.|",
        "|1a:|2b|]",
        "[1,3a:|[2b||",
        "[CEG]2 [C2-E2-]c-c",
        "{ab}c {/d}e{.f2}g",
        "(3abc (3:2:2ab (5a2bzc[df]",
        "(ab(cd)\nef)",
        "a>b c<<d [ce]>z",
        '!trill!a .b ~c vd "Am"e "^text?"f',
        "[K:G]a[M:C|]b[r:remark]",
        "a|!\nb!\n",
        "w:la-la\nK:A Mixolydian\nM:2/4\nabc\\\nd",
        "a % what? [ever",
    ],
)
def test_what_the_standard_allows_has_no_problem(body):
    assert problems_of(HEADER + body) == []


@pytest.mark.parametrize(
    "body, problem",
    [
        ("abc?", "line 6: unknown character '?'"),
        ("abc\nh", "line 7: unknown character 'h'"),
        ("abc]", "line 6: ']' closes nothing"),
        ("[abc", "line 6: '[' opens no chord, field or ending"),
        ("{abc", "line 6: '{' opens no grace notes"),
        ('a"b', "line 6: a quote that is not closed"),
        ("ab)c", "line 6: ')' closes no slur"),
        ("(ab(c)", "a slur is not closed"),
        ("(3ab|c", "line 6: '(3' is followed by 2 notes"),
        ("|-a", "line 6: a tie with no note before it"),
        ("a>|b", "line 6: '>' does not stand between two notes"),
        ("a0", "line 6: unknown character '0'"),
        ("a!b", "line 6: unknown character '!'"),
        ("a\n\nb", "line 7: an empty line in the tune"),
        ("a\nX:2", "line 7: X: is no field of a tune's body"),
        ("a\nM:6/8 abc|", "line 7: M:6/8 abc| is not a metre such as 6/8"),
        ("[K:H]a", "line 6: K:H is not a key such as D or A Dorian"),
        ("z4|", "no note after K:"),
    ],
)
def test_what_it_does_not_is_told_with_its_line(body, problem):
    assert problems_of(HEADER + body) == [problem]


@pytest.mark.parametrize(
    "tune, problem",
    [
        ("T:A tune\nK:D\na", "line 1: expected the field X:"),
        ("X:one\nK:D\na", "line 1: X:one is not a number"),
        ("X:1\nM:6/8\nabc", "the field K: is missing"),
        ("X:1\nL:8\nK:D\na", "line 2: L:8 is not a unit such as 1/8"),
        ("X:1\nabc|\nK:D\na", "line 2: 'abc|' is no field of a header"),
        ("X:1\n\nK:D\na", "line 2: an empty line in the header"),
        ("X:1\nX:2\nK:D\na", "line 2: a second X: in one tune"),
        ("X:1\nT:A tune\nK:\n", "no note after K:"),
    ],
)
def test_a_header_has_its_rules(tune, problem):
    assert problems_of(tune) == [problem]


@pytest.mark.parametrize(
    "key", ["D", "F#m", "Bb", "A Dorian", "Gmix", "E minor", "HP", "none", "D ^c _b", "C clef=bass"]
)
def test_keys_are_read(key):
    assert problems_of(f"X:1\nK:{key}\na") == []


def test_a_file_is_split_at_x_and_empty_lines():
    text = "%abc-2.1\nfree text\n\nX:1\nR:jig\nK:D\ndef|\n\nmore free text\n\nX:2\nR: reel \nK:G\n\ngab|\nabg|\nX:3\nK:C\nc"
    tunes = split_tunes(text)
    assert [tune.line for tune in tunes] == [4, 11, 17]
    assert tunes[0].text == "X:1\nR:jig\nK:D\ndef|"
    assert tunes[1].fields == {"X": "2", "R": "reel", "K": "G"}
    assert tunes[1].body == "gab|\nabg|"  # the empty line before the music is not one that ends the tune
    assert [problems_of(tune.text) for tune in tunes] == [[], [], []]
