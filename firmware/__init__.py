"""What a pile does: decides, remembers and reports; reaches hardware only through the roles it is
handed.
"""

VERSION = "0.1.0"
