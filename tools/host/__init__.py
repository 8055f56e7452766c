"""The host's side of Voltpile: what `tools/pile.py` needs on the computer it runs on (CPython 3.10+)."""
