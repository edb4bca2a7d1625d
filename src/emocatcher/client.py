"""A client of `emocatcher serve`, on Python's standard library; the socket needs the extra `serve`."""
