"""Texts with labels: where they are read from, and what a label is."""
