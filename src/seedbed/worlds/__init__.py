"""Worlds plant a known cause and keep the truth about it. No torch here."""
