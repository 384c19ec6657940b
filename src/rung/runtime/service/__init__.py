"""Services that answer for money: a client, a budget that stops, and a cache, so that no row is paid for twice."""
