"""Texts that are conditioned on something: what the data modules of one-to-many tasks share."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqmodels.data.corpus import BOS, EOS
from seqmodels.data.examples import PARTS, Example, Examples, GeneratedExamples, load_examples
from seqmodels.data.formats.lines import numbered_lines
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.splits import check_fractions, split_parts
from seqmodels.data.tokenizers import Tokenizer, tokenizer_from_spec
from seqmodels.data.windows import IGNORE_INDEX, TBPTT
from seqmodels.errors import UserError

NUM_SAMPLED = 1000
"""How many generated texts at most a vocabulary is fitted to, and the length of a token is taken from."""


class Text(NamedTuple):
    """A text and what it is conditioned on.

    Attributes:
        text: The text.
        context: A class `()`, int64, an image `(channels, height, width)` or frames of sound `(frames, features)`,
            float32.
    """

    text: str
    context: np.ndarray


@dataclass
class WrittenText:
    """Texts that are drawn, as examples of a language model.

    Args:
        write: Draws a text with its context; a pure function of the generator.
        tokenizer: Encodes it, with the special tokens `<bos>` and `<eos>`.
        max_steps: Tokens of the longest text, and one for its end.
    """

    write: Callable[[np.random.Generator], Text]
    tokenizer: Tokenizer
    max_steps: int

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example."""
        return encode_text(self.write(generator), self.tokenizer)


def encode_text(text: Text, tokenizer: Tokenizer) -> Example:
    """Makes an example of a language model: read from `<bos>`, to be continued up to `<eos>`.

    Example:
        >>> from seqmodels.data import CharTokenizer
        >>> tokenizer = CharTokenizer()
        >>> tokenizer.fit(["ab"])
        >>> tokenizer.add_special_tokens(["<bos>", "<eos>"])
        >>> example = encode_text(Text("ab", np.array(3)), tokenizer)
        >>> example.inputs.tolist(), example.targets.tolist()
        ([3, 1, 2], [1, 2, 4])
    """
    ids = [tokenizer.special_id(BOS), *tokenizer.encode(text.text).tolist(), tokenizer.special_id(EOS)]
    return Example(np.array(ids[:-1], np.int64), np.array(ids[1:], np.int64), text.context, text.text)


def encode_request(context: np.ndarray, tokenizer: Tokenizer) -> Example:
    """Makes an example that a text is to be written for: nothing but `<bos>`."""
    return Example(np.array([tokenizer.special_id(BOS)], np.int64), np.array([IGNORE_INDEX]), context)


@dataclass(frozen=True)
class ConditionedConfig:
    """What is made of texts, apart from which texts.

    Args:
        tokenizer: Makes tokens of them; it is not changed.
        batch_size: Texts in a batch.
        tbptt: Windows of training.
        seed: Of the split, the order of batches and of what is generated.
        spec: From an earlier run, whose vocabulary is used instead of a fitted one.
        val_fraction: Share of them that is for validation.
        test_fraction: Share of them that is for the final test.

    Raises:
        UserError: Where a value is out of range.
    """

    tokenizer: Tokenizer
    batch_size: int
    tbptt: TBPTT
    seed: int
    spec: dict[str, Any] | None
    val_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"data.batch_size={self.batch_size}: expected an integer of at least 1")
        if self.seed < 0:
            raise UserError(f"data.seed={self.seed}: expected an integer of at least 0")
        check_fractions(val_fraction=self.val_fraction, test_fraction=self.test_fraction)


class ConditionedData(DataModule):
    """Texts that are conditioned on a class, an image or a sound; a subclass gives `load`.

    Args:
        config: What is made of the texts.
        num_workers: Processes that prepare batches ahead.

    Attributes:
        training_texts: The texts of training, or some of them where they are generated; there after `setup`.
    """

    training_texts: Sequence[Text]

    def __init__(self, config: ConditionedConfig, num_workers: int = 0):
        super().__init__(num_workers)
        self.config = config

    def _fitted(self, texts: Iterable[Text]) -> Tokenizer:
        """Returns the tokenizer of the earlier run, or one that is fitted to training texts."""
        if self.config.spec is not None:
            if "tokenizer" not in self.config.spec or "context" not in self.config.spec:
                raise UserError("data: these are texts with a context, and the run was trained on something else")
            return tokenizer_from_spec(self.config.spec["tokenizer"])
        tokenizer = copy.deepcopy(self.config.tokenizer)
        if not tokenizer.fitted:
            tokenizer.fit(text.text for text in texts)
        tokenizer.add_special_tokens([BOS, EOS])
        return tokenizer

    def listed(
        self,
        texts: Sequence[Text],
        context: dict[str, Any],
        numbers: Mapping[str, Sequence[int]] | None = None,
    ) -> Loaded:
        """Makes data of given texts.

        Args:
            texts: All of them.
            context: The "context" of the spec.
            numbers: Which texts are of "train", "val" and "test"; drawn where left out.

        Raises:
            UserError: Where they are too few.
        """
        config = self.config
        numbers = numbers or split_parts(len(texts), config.val_fraction, config.test_fraction, config.seed)
        parts = {part: [texts[number] for number in chosen] for part, chosen in numbers.items() if chosen}
        self.training_texts = parts["train"]
        tokenizer = self._fitted(parts["train"])
        examples: dict[str, Examples] = {
            part: [encode_text(text, tokenizer) for text in chosen] for part, chosen in parts.items()
        }
        return self._load(tokenizer, examples, parts, context)

    def generated(
        self,
        write: Mapping[str, Callable[[np.random.Generator], Text]],
        total: int,
        max_length: int,
        context: dict[str, Any],
    ) -> Loaded:
        """Makes data that are drawn.

        Args:
            write: What draws a text of "train", "val" and "test".
            total: How many: the shares of validation and test, and the rest is the length of an epoch.
            max_length: Characters of the longest text.
            context: The "context" of the spec.
        """
        num_val, num_test = round(total * self.config.val_fraction), round(total * self.config.test_fraction)
        shares = {"train": max(1, total - num_val - num_test), "val": num_val, "test": num_test}
        counts = {part: count for part, count in shares.items() if count}
        sampled = {part: self._drawn(write[part], part, min(counts[part], NUM_SAMPLED)) for part in counts}
        self.training_texts = sampled["train"]
        tokenizer = self._fitted(sampled["train"])
        examples: dict[str, Examples] = {
            part: GeneratedExamples(WrittenText(write[part], tokenizer, max_length + 1), self.config.seed, part, count)
            for part, count in counts.items()
        }
        return self._load(tokenizer, examples, sampled, context)

    def _drawn(self, write: Callable[[np.random.Generator], Text], part: str, count: int) -> list[Text]:
        """Draws the first texts of a part."""
        return [write(np.random.default_rng([self.config.seed, PARTS.index(part), index])) for index in range(count)]

    def _load(
        self,
        tokenizer: Tokenizer,
        examples: Mapping[str, Examples],
        texts: Mapping[str, Sequence[Text]],
        context: dict[str, Any],
        shape: str = "one_to_many",
    ) -> Loaded:
        characters = {part: sum(len(text.text) + 1 for text in texts[part]) for part in examples}
        sizes = {part: [len(tokenizer.encode(text.text)) + 1 for text in texts[part]] for part in examples}
        spec = {
            "kind": "text",
            "form": "lines",
            "shape": shape,
            "tokenizer": tokenizer.to_spec(),
            "vocab_size": tokenizer.vocab_size,
            "unk": tokenizer.unknown_id,
            "bos": tokenizer.special_id(BOS),
            "eos": tokenizer.special_id(EOS),
            "characters_per_token": {part: characters[part] / sum(sizes[part]) for part in examples},
            "longest_target": max(max(sizes[part]) for part in examples),
            "context": context,
        }
        return load_examples(spec, examples, self.config.batch_size, self.config.tbptt, self.config.seed)


def class_spec(classes: Iterable[str], **more: str) -> dict[str, Any]:
    """Returns the "context" of a spec whose texts are conditioned on classes."""
    names = list(classes)
    return {"kind": "classes", "classes": names, "num_classes": len(names), **more}


def class_requests(path: str, spec: dict[str, Any] | None) -> list[Request]:
    """Reads a class from each line of a file, to write a text for each.

    Args:
        path: The file; empty lines are left out.
        spec: Of the run.

    Raises:
        UserError: Where it cannot be read.
    """
    if spec is None:
        raise UserError(f"input={path}: only a trained run can write")
    tokenizer, classes = tokenizer_from_spec(spec["tokenizer"]), spec["context"]["classes"]
    requests = []
    for number, line in numbered_lines(Path(path)):
        name = line.strip()
        if name in classes:
            context = np.array(classes.index(name), np.int64)
            requests.append(Request(number, encode_request(context, tokenizer)))
        elif name:
            problem = f"line {number}: {name!r} is no class of this run; there are {', '.join(classes)}"
            requests.append(Request(number, None, problem))
    return requests
