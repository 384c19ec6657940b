"""One client of language models behind OpenAI-compatible servers, what they cost, and what they really do."""
