"""How much may flow: limits as leases."""
