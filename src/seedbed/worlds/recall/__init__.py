"""Recall: stored facts and computations in the same surface form, and what tells them apart."""
