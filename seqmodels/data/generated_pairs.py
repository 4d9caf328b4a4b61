"""Pairs of texts that are drawn."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seqmodels.data.examples import PARTS, Example, Examples, GeneratedExamples, load_examples
from seqmodels.data.formats.pairs import TextPair
from seqmodels.data.module import DataModule, Loaded, Request
from seqmodels.data.pairs.encoding import PairTokenizers
from seqmodels.data.pairs.limits import LengthLimits
from seqmodels.data.pairs.requests import encode_source, read_sources, source_request
from seqmodels.data.splits import check_fractions
from seqmodels.data.synthetic.pair_problem import PairProblem
from seqmodels.data.tokenizers import CharTokenizer, Tokenizer
from seqmodels.data.windows import TBPTT, WHOLE_SEQUENCES
from seqmodels.errors import UserError

_SAMPLE = 1000
"""So many pairs at most does a vocabulary see, apart from those that show every symbol."""


@dataclass(frozen=True)
class WrittenPairs:
    """The pairs of a part, as examples.

    Args:
        problem: What is drawn.
        part: "train", "val" or "test".
        tokenizers: Encode them.
    """

    problem: PairProblem
    part: str
    tokenizers: PairTokenizers

    @property
    def max_steps(self) -> int:
        """Steps of the longest target, where no character has more tokens than bytes."""
        bytes_each = 1 if self.tokenizers.target.kind in ("char", "word") else 4
        return 1 + bytes_each * self.problem.max_target_length

    def draw(self, generator: np.random.Generator) -> Example:
        """Draws an example."""
        return self.tokenizers.encode(self.problem.write(generator, self.part))


class GeneratedPairs(DataModule):
    """A problem's pairs of texts, each a function of (seed, part, index); no two epochs are the same.

    Args:
        problem: What is drawn.
        num_pairs: How many: of them what is not for validation or test is the length of an epoch, which draws others
            each time.
        val_fraction: Share of the pairs that is for validation; none of them is ever trained on.
        test_fraction: Share of the pairs that is for the final test, likewise.
        tokenizer: Makes tokens of targets; characters where left out.
        source_tokenizer: Makes tokens of sources; one like `tokenizer` where left out.
        joint: Whether both sides have one vocabulary.
        batch_size: Pairs in a batch.
        num_workers: Processes that draw batches ahead.
        tbptt: Windows of training, over targets; whole targets where left out.
        seed: Of all draws.
        spec: From an earlier run, whose vocabularies are used.

    Raises:
        UserError: Where a value is out of range.

    Example:
        >>> from seqmodels.data import Reversal
        >>> module = GeneratedPairs(Reversal("ab", longest=12), num_pairs=100)
        >>> module.setup()
        >>> module.spec["vocab_size"], len(module.train_dataloader())  # a, b, <unk>, <bos>, <eos>; 80 pairs
        (5, 2)
    """

    def __init__(
        self,
        problem: PairProblem,
        num_pairs: int = 20000,
        val_fraction: float = 0.05,
        test_fraction: float = 0.1,
        tokenizer: Tokenizer | None = None,
        source_tokenizer: Tokenizer | None = None,
        joint: bool = False,
        batch_size: int = 64,
        num_workers: int = 0,
        tbptt: TBPTT = WHOLE_SEQUENCES,
        seed: int = 0,
        spec: dict[str, Any] | None = None,
    ):
        super().__init__(num_workers)
        check_fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        if num_pairs < 1:
            raise UserError(f"data.num_pairs={num_pairs}: expected an integer of at least 1")
        if joint and source_tokenizer is not None:
            raise UserError("data.joint=true: both sides have one tokenizer; leave out data.source_tokenizer")
        num_val, num_test = round(num_pairs * val_fraction), round(num_pairs * test_fraction)
        self.counts = {"train": max(1, num_pairs - num_val - num_test), "val": num_val, "test": num_test}
        self.problem = problem
        self.tokenizer, self.source_tokenizer, self.joint = tokenizer or CharTokenizer(), source_tokenizer, joint
        self.batch_size, self.tbptt, self.seed = batch_size, tbptt, seed
        self.earlier = spec

    def load(self) -> Loaded:
        """Makes ready to draw."""
        tokenizers = self._tokenizers()
        counts = {part: count for part, count in self.counts.items() if count}
        examples: dict[str, Examples] = {
            part: GeneratedExamples(WrittenPairs(self.problem, part, tokenizers), self.seed, part, count)
            for part, count in counts.items()
        }
        spec = tokenizers.spec({part: self._drawn(part, min(count, _SAMPLE)) for part, count in counts.items()})
        return load_examples(spec, examples, self.batch_size, self.tbptt, self.seed)

    def read_requests(self, path: str) -> list[Request]:
        """Reads source texts like the problem's from a table's column "source", or from the lines of a text file."""
        tokenizers = self._tokenizers()
        return [source_request(row, path, tokenizers, LengthLimits(), closed=True) for row in read_sources(path)]

    def read_source(self, source: str) -> Example:
        """Makes an example of a source text like the problem's."""
        return encode_source(source.strip(), f"source={source}", self._tokenizers(), LengthLimits(), closed=True)

    def _tokenizers(self) -> PairTokenizers:
        if self.earlier is not None:
            return PairTokenizers.from_spec(self.earlier)
        pairs = [*self.problem.covering(), *self._drawn("train", min(self.counts["train"], _SAMPLE))]
        return PairTokenizers.fitted(pairs, self.tokenizer, self.source_tokenizer, self.joint)

    def _drawn(self, part: str, count: int) -> list[TextPair]:
        """Draws the first pairs of a part."""
        generators = (np.random.default_rng([self.seed, PARTS.index(part), index]) for index in range(count))
        return [self.problem.write(generator, part) for generator in generators]
