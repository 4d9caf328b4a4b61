"""Data: tokenizers, windows of truncated backpropagation, loaders that resume exactly, data modules."""

from seqmodels.data.batches import BucketedLines, LineWindows, StreamWindows
from seqmodels.data.loader import InOrder, Order, ResumableLoader, evaluation_loader
from seqmodels.data.module import Batches, DataModule, Loaded
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
    "BPETokenizer",
    "Batches",
    "BucketedLines",
    "ByteTokenizer",
    "CharTokenizer",
    "Chunks",
    "DataModule",
    "InOrder",
    "IncrementalDecoder",
    "LineWindows",
    "Loaded",
    "Order",
    "PythonSource",
    "ResumableLoader",
    "StreamWindows",
    "TextFile",
    "TextLines",
    "TinyShakespeare",
    "Tokenizer",
    "Window",
    "WindowPlan",
    "Windowing",
    "WordTokenizer",
    "cut_window",
    "evaluation_loader",
    "plan_windows",
    "tokenizer_from_spec",
]
