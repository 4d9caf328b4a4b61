"""YAML and JSON of a stranger's: keys that stand twice or merge others, more values than any vocabulary."""

import json
import time

import pytest

from seqmodels.errors import UserError
from seqmodels.verified import documents
from seqmodels.verified.documents import read_json, read_yaml
from tests.hostile.conftest import limited


def told(read, path, text):
    path.write_text(text)
    with limited(1 << 28), pytest.raises(UserError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mappings_that_merge_others_are_refused_before_they_are_made(tmp_path):
    """Nine to the power of the lines: some minutes for six of them, more than a life for forty."""
    merges = "".join(f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    began = time.monotonic()
    assert told(read_yaml, tmp_path / "a.yaml", f"a0: &a0 {{k: v}}\n{merges}").endswith(
        "a.yaml: cannot be read: the key <<: expected the keys that it stands for"
    )
    assert time.monotonic() - began < 10
    (tmp_path / "a.yaml").write_text("a: {'<<': 1, b: '<<'}")  # in quotes it is a name as any
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"<<": 1, "b": "<<"}}


@pytest.mark.parametrize("text", ["seed: 1\n'seed': 2\n", "a: [{seed: 1, b: 2, seed: 1}]", "? seed\n: 1\n? seed\n"])
def test_a_key_that_stands_twice_in_yaml(tmp_path, text):
    assert "a.yaml: cannot be read: the key 'seed' stands there twice" in told(read_yaml, tmp_path / "a.yaml", text)


@pytest.mark.parametrize("text", ['{"seed": 1, "seed": 2}', '{"a": [{"seed": 1, "b": 2, "seed": 1}]}'])
def test_a_key_that_stands_twice_in_json(tmp_path, text):
    assert "a.json: cannot be read: the key 'seed' stands there twice" in told(read_json, tmp_path / "a.json", text)


@pytest.mark.parametrize("one", ["[]", "{}", "1"])
def test_small_values_that_take_memory(tmp_path, one):
    text = f'{{"a": [{",".join([one] * (documents.MAX_JSON_MARKS + 1))}]}}'
    assert "a.json: cannot be read: more than 4,194,304 brackets" in told(read_json, tmp_path / "a.json", text)


def test_half_a_character_as_a_key(tmp_path):
    assert "a.json: cannot be read: " in told(read_json, tmp_path / "a.json", '{"a": {"\\ud800": 1}}')


def test_a_million_words_are_read(tmp_path):
    spec = {"words": [f"wörd{number}" for number in range(1_000_000)]}
    (tmp_path / "a.json").write_text(json.dumps(spec, indent=1))
    with limited(1 << 29):
        assert read_json(tmp_path / "a.json") == spec
