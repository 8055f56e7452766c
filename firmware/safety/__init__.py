"""May the contactor be closed?  Integers only, allocates nothing, decides alone."""
