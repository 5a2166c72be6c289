"""Rows, sites, configuration, seeds and files: what every layer shares. No torch here."""
