"""The world of counting: how many words of a list belong to a category."""
