"""The vocabulary every other part speaks: spec, types, protocols, bounds, run folder, errors."""
