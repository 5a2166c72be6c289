"""Showing a run folder: terminal tables, figures, one-file page, comparison. Reads files only."""
