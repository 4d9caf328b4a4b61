"""Data: tokenizers, windows of truncated backpropagation, loaders that resume exactly, data modules."""

from seqmodels.data.arrays.clips import Clips
from seqmodels.data.arrays.files import ArrayNames
from seqmodels.data.arrays.preparation import Steps
from seqmodels.data.arrays.sequences import ArraySequences, Digits
from seqmodels.data.batches import BucketedLines, LineWindows, StreamWindows
from seqmodels.data.captions import DigitCaptions, ImageCaptions
from seqmodels.data.class_lines import ClassLines
from seqmodels.data.conditioned import ConditionedData, Text
from seqmodels.data.docstrings import DocstringLines
from seqmodels.data.examples import (
    Example,
    Examples,
    ExampleWindows,
    Form,
    FreshBatches,
    GeneratedExamples,
    Problem,
    collate,
    load_examples,
)
from seqmodels.data.forecasting.modules import SeriesFile, Sunspots
from seqmodels.data.forecasting.scaling import Scaling
from seqmodels.data.forecasting.windows import FootingTensors, unpack_footing
from seqmodels.data.generated import Generated
from seqmodels.data.generated_pairs import GeneratedPairs
from seqmodels.data.generated_text import GeneratedText
from seqmodels.data.labelled_text import LabelledText
from seqmodels.data.loader import InOrder, Order, ResumableLoader, evaluation_loader
from seqmodels.data.module import Batches, DataModule, Loaded, Request
from seqmodels.data.parallel_text import ParallelText
from seqmodels.data.piano_rolls import PianoRolls
from seqmodels.data.speech.frames import Frames
from seqmodels.data.speech.module import Speech
from seqmodels.data.speech.perturbation import Perturbation
from seqmodels.data.synthetic.algorithms import BinaryAddition, Parity
from seqmodels.data.synthetic.dates import Dates
from seqmodels.data.synthetic.memory import Adding, Copy, DelayedRecall, Multiplication, TemporalOrder
from seqmodels.data.synthetic.moving_digits import MovingDigit
from seqmodels.data.synthetic.pair_problem import PairProblem
from seqmodels.data.synthetic.problem import GeneratedProblem
from seqmodels.data.synthetic.reber import EmbeddedReber
from seqmodels.data.synthetic.sentences import SentenceOrder
from seqmodels.data.synthetic.strings import DecimalAddition, Reversal
from seqmodels.data.synthetic.tags import BracketsDepth, PrefixParity
from seqmodels.data.synthetic.text_problem import TextProblem
from seqmodels.data.tagged_text import TaggedText
from seqmodels.data.text import PythonSource, TextFile, TextLines, TinyShakespeare
from seqmodels.data.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    IncrementalDecoder,
    Tokenizer,
    WordTokenizer,
    tokenizer_from_spec,
)
from seqmodels.data.tunes import Tunes
from seqmodels.data.windows import (
    IGNORE_INDEX,
    TBPTT,
    Chunks,
    Window,
    Windowing,
    WindowPlan,
    cut_window,
    plan_windows,
)

__all__ = [
    "IGNORE_INDEX",
    "TBPTT",
    "Adding",
    "ArrayNames",
    "ArraySequences",
    "BPETokenizer",
    "Batches",
    "BinaryAddition",
    "BracketsDepth",
    "BucketedLines",
    "ByteTokenizer",
    "CharTokenizer",
    "Chunks",
    "ClassLines",
    "Clips",
    "ConditionedData",
    "Copy",
    "DataModule",
    "Dates",
    "DecimalAddition",
    "DelayedRecall",
    "DigitCaptions",
    "Digits",
    "DocstringLines",
    "EmbeddedReber",
    "Example",
    "ExampleWindows",
    "Examples",
    "FootingTensors",
    "Form",
    "Frames",
    "FreshBatches",
    "Generated",
    "GeneratedExamples",
    "GeneratedPairs",
    "GeneratedProblem",
    "GeneratedText",
    "ImageCaptions",
    "InOrder",
    "IncrementalDecoder",
    "LabelledText",
    "LineWindows",
    "Loaded",
    "MovingDigit",
    "Multiplication",
    "Order",
    "PairProblem",
    "ParallelText",
    "Parity",
    "Perturbation",
    "PianoRolls",
    "PrefixParity",
    "Problem",
    "PythonSource",
    "Request",
    "ResumableLoader",
    "Reversal",
    "Scaling",
    "SentenceOrder",
    "SeriesFile",
    "Speech",
    "Steps",
    "StreamWindows",
    "Sunspots",
    "TaggedText",
    "TemporalOrder",
    "Text",
    "TextFile",
    "TextLines",
    "TextProblem",
    "TinyShakespeare",
    "Tokenizer",
    "Tunes",
    "Window",
    "WindowPlan",
    "Windowing",
    "WordTokenizer",
    "collate",
    "cut_window",
    "evaluation_loader",
    "load_examples",
    "plan_windows",
    "tokenizer_from_spec",
    "unpack_footing",
]
