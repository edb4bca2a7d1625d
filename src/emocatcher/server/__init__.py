"""`emocatcher serve`: the HTTP API, the WebSocket and the page. Needs the extra `serve`.

One process answers the network and never decodes anything; worker processes decode and recognise, within a time and
memory limit, so that a hostile file takes its worker and nothing else.
"""
