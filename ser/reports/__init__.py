"""Pages for people, made from the files of a run."""

CLIPS = 4
"""Clips to listen to of each kind, where nobody says how many."""
