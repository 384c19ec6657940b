"""How labels of a teacher are collected: which rows to ask about, when to stop, which answers to keep."""
