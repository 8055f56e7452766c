"""What every implementation of a role must do, one file a role.

A contract is a function `test_*(bench)`: `bench` (see bench.py) has the board, lets time pass, and
asks for what takes hands. pytest and tests/runner.py hand it every board of virtual.BOARDS;
`pile.py selftest` sends bench.py and the contracts to a real one, where the hands are a
technician's. So they import nothing but what every MicroPython has.
"""
