"""Embeddings of any modality, cached on disk by content during a build."""
