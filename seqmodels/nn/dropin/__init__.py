"""`RNN`, `LSTM` and `GRU` in the place of torch's: same arguments, results and `state_dict`, run by our kernels.

What our kernels do not take runs in torch as before; `fit.py` says what they take, `loop.py` runs it.
"""

from seqmodels.nn.dropin.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN"]
