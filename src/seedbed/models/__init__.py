"""Subjects: language models, their tokens, and how they are built, saved and loaded."""
