"""From a bundle to predictions, over HTTP or in process; nothing here trains."""
