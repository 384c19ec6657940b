"""Where a build is written down elsewhere while it runs: MLflow servers and TensorBoard event files."""
