"""Quadrants: a point and a trigger word; the rule and the parts of the input that decide."""
