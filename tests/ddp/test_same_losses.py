"""Two processes that share each batch learn what one learns."""

import pytest
import torch
from conftest import SMALL

from seqmodels import runs
from seqmodels.commands.composing import compose
from seqmodels.training import train

# see below
