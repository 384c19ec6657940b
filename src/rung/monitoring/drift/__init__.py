"""Tell whether served rows still look like the rows a model was built on: bins of a row, and bets on them."""
