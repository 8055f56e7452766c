"""Read configuration and board file, build the station, run it."""

import hal

try:
    from firmware import config

    settings = hal.settings = config.load("config.json")
    problems = config.problems
    del config
    hal.let_go(("firmware.config",))
    board = hal.start("board.json")
    if board:
        from firmware import VERSION
        from firmware.station import Station

        station = Station(board, settings)
        hal.let_go(("firmware.wiring",))
        for words in problems:
            board.log.record("config", problem=words)
        print("Voltpile %s: %s on %s" % (VERSION, settings["station_id"], board.model))
        board.run(station)
finally:
    hal.end()
