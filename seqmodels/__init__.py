"""Recurrent sequence models: any cell, exact truncated backpropagation through time, resumable runs."""

__version__ = "0.1.0"
