"""HTML pages of plans, reports, drift and value: each is one file that loads nothing else."""
