"""Scores mark a claim against a truth, beside chance and an oracle. No torch here."""
