"""Write a bundle for places where rung is not installed, and hold what was written against the server's answers."""
