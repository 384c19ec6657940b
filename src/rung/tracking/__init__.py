"""Experiment tracking of builds with MLflow and TensorBoard."""
