"""Where work runs: on this machine, or spread over several."""
