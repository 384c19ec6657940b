"""What classifiers of every modality share: thresholds, threshold reports, confident learning."""
