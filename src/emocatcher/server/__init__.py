"""Serve the HTTP API, the WebSocket and the page (`emocatcher serve`). Needs the extra `serve`.

One process handles the network and never decodes anything. Worker processes decode and recognise within time and
memory limits, so that a hostile file can only crash its own worker.
"""
