"""Readers of the files users bring: rows, folders, columns, series, arrays, notes."""
