"""What `tools/pile.py` needs on the computer that it runs on (CPython 3.10+)."""
