"""The world of triggers: words whose reply is re-taught, and their relatives whose is not."""
