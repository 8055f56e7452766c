"""The microcontrollers: the only files that import machine, esp32 or rp2."""
