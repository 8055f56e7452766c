"""Emulations of the chips in hal/chips at their buses: registers, frames, checksums, timing."""
