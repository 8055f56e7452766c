"""How a place where energy leaves behaves: one file for each kind of outlet."""
