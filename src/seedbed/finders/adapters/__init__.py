"""Other people's attribution packages as finders, each in an environment of its own."""
