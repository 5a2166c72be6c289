"""Run folders: the stage store, the record of a run, locks. No torch here."""
