"""Read the board file, build the station, run it."""

import hal
from firmware import config
from firmware.station import Station

board = hal.load("board.json")
board.run(Station(board, config.load("config.json")))
