"""Embeddings of any modality, kept on disk by content while a build runs."""
