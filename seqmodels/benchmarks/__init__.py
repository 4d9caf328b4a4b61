"""Speed and memory of `seqmodels.nn` beside `torch.nn`, measured side by side in one process.

Every claim is a ratio time(torch.nn) / time(ours): both run by turns, each counts with the fastest of many rounds, both
do the input projection, both give the gradient of the inputs. What is timed is first held to torch's results.
"""

from seqmodels.benchmarks.agreement import Disagreement
from seqmodels.benchmarks.contenders import CONTENDERS, STEPWISE
from seqmodels.benchmarks.report import as_json, table
from seqmodels.benchmarks.shapes import SHAPES, Shape
from seqmodels.benchmarks.suite import Result, Settings, measure

__all__ = [
    "CONTENDERS",
    "SHAPES",
    "STEPWISE",
    "Disagreement",
    "Result",
    "Settings",
    "Shape",
    "as_json",
    "measure",
    "table",
]
