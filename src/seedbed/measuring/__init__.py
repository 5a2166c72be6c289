"""Reading what a subject answers."""
