"""What all modalities share when they answer."""
