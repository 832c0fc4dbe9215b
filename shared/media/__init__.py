"""Decode and inference: what happens to a file. Workers import this package; functions never do."""
