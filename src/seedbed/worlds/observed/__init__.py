"""Items of a file with a stored score, asked as they are: nothing is planted."""
