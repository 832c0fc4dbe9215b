"""The weekly review: one page with the week's figures beside the week before, from PromQL alone."""
