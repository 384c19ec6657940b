"""How a cascade is learned: answers to rows held out, predicted benefit, thresholds."""
