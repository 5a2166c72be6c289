"""Finders say where the cause is. They never see the truth: no import of worlds or scoring."""
