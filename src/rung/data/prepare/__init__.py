"""From source files to the tables of a run: ingest, cast, deduplicate, split, quarantine."""
