"""The electrical plant and a full virtual board: part of the product, so that every pile can be
tried on a desk.

`plant` is the world outside the controller, `pilot` how a controller samples it, `scenario` what
happens when, `line` the backend behind an MQTT broker in memory, `board` puts them behind the
roles, in virtual or in real time.
"""
