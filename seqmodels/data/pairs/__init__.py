"""Pairs of texts as numbers: the tokenizers of both sides, limits to lengths, what is read to be predicted for."""
