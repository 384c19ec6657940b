"""Human labels: overlay, consensus, audit sample, corrections."""
