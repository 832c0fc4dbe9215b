"""What functions and workers have in common; `shared.media` alone may import av and models."""
