"""Types and protocols shared by all packages: spec, tasks, models, kinds, metrics, bounds, run folder, errors."""
