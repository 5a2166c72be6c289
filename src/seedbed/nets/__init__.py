"""Architectures of the project's own, beside those of transformers."""
