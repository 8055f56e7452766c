"""Read the board file, build the station, run it."""

import hal

board = hal.start("board.json")
if board:
    from firmware import config
    from firmware.station import Station

    board.run(Station(board, config.load("config.json")))
