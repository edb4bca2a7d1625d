"""Render the API's documentation from its OpenAPI document as one page without scripts or other hosts' files."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
section{border-top:1px solid #8888;padding:.5rem 0}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;background:#8882;padding:.75rem;border-radius:.5rem}
h2,h2 code,.method{font:600 18px/1.4 ui-monospace,monospace}h3{font-size:15px;margin:.75rem 0 .25rem}
.method{display:inline-block;min-width:3.5em;opacity:.7}
table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0}
"""
_CALLS = """curl -F file=@voice.m4a ADDRESS/v1/predict
curl -F file=@a.wav -F file=@b.wav ADDRESS/v1/predict
curl --data-binary @voice.ogg -H 'Content-Type: audio/ogg' 'ADDRESS/v1/predict?name=voice.ogg'
curl -F file=@interview.mp3 'ADDRESS/v1/timeline?window_s=3&hop_s=0.5'
curl -F file=@1.wav -F file=@2.wav … ADDRESS/v1/settle
curl -F file=@voice.m4a 'ADDRESS/v1/predict?settled=NAME&emotions=neutral,happy,sad,angry'
curl -H 'Authorization: Bearer TOKEN' ADDRESS/v1/model"""
_STREAM = """→ {"type": "hello", "sample_rate": 48000, "encoding": "pcm16", "window_s": 3, "hop_s": 0.5, "token": "…"}
  (optional: "abstain_below": 0.5 instead of the model's own threshold, "settled": "NAME" of a profile,
   "emotions": ["neutral", "happy"] to answer with these only)
← {"type": "ready", "labels": ["…"], "window_s": 3.0, "hop_s": 0.5}
→ binary messages: little-endian mono samples, "pcm16" or "float32"
← {"type": "window", "start_s": 0.0, "end_s": 3.0, "speech": true, "emotion": "happy", "probability": 0.8,
   "abstain": false, "…": "…"}
→ {"type": "finish"}
← {"type": "done", "duration_s": 12.3}, then close 1000

On an error: {"type": "error", "title": "…", "detail": "…", "error": "…"}, then close 1008 (not allowed),
1009 (too big), 1013 (too many streams), 1001 (idle, or the server is stopping) or 1011 (the worker failed)"""


def as_html(document: dict[str, Any], address: str) -> str:
    """Render an OpenAPI document as HTML.

    Args:
        document: the decoded OpenAPI document.
        address: the server's address for the reader.
    """
    info = document["info"]
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{_prose(info['description'])}</p>",
        '<p><a href="openapi.json">OpenAPI document</a> · <a href="./">The page</a></p>',
        f"<pre tabindex='0'>{escape(_CALLS.replace('ADDRESS', address))}</pre>",
    ]
    for path, methods in document["paths"].items():
        parts += [_render_operation(path, method, operation) for method, operation in methods.items()]
    parts.append("<section><h2><span class='method'>WS</span> <code>/v1/stream</code></h2>")
    parts.append(f"<p>Send live sound and receive windows.</p><pre tabindex='0'>{escape(_STREAM)}</pre></section>")
    return "".join([*parts, "</main></body></html>"])


def _render_operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<section><h2><span class='method'>{escape(method.upper())}</span> <code>{escape(path)}</code></h2>",
        f"<p>{_prose(operation.get('description', ''))}</p>",
    ]
    if parameters := operation.get("parameters"):
        rows = "".join(map(_render_parameter, parameters))
        parts.append(f"<h3>Parameters</h3><table>{rows}</table>")
    if "requestBody" in operation:
        kinds = " or ".join(f"<code>{escape(kind)}</code>" for kind in operation["requestBody"].get("content", {}))
        parts.append(f"<p>Body: {kinds}</p>")
    rows = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{_prose(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h3>Answers</h3><table>{rows}</table>")
    for answer in operation["responses"].values():
        example = answer.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            parts.append(f"<pre tabindex='0'>{escape(json.dumps(example, indent=1))}</pre>")
    return "".join([*parts, "</section>"])


def _render_parameter(parameter: dict[str, Any]) -> str:
    shape = parameter.get("schema", {})
    default = f", default {shape['default']}" if shape.get("default") else ""
    where = f"{parameter['in']}{default}"
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(where)}</td>"
        f"<td>{_prose(parameter.get('description', ''))}</td></tr>"
    )


def _prose(text: str) -> str:
    """Render text as HTML, with the parts in backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
