"""What users did and what they may like: histories, catalogues of items, ranked lists."""
