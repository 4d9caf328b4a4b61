"""Recordings of speech as frames, and what is said in them."""
