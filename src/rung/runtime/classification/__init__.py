"""Classification in any modality: task base class, decision thresholds, threshold reports."""
