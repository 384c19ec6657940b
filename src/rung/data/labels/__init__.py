"""Labels people gave: overlay, consensus, audit sample, corrections."""
