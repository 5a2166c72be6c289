"""The command line: thin commands over the same functions that the Python API offers."""
