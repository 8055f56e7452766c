"""What happened: transactions and their meter values."""
