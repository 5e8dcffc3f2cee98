"""The way that tutorials show: Flask, the SDK's validator, one INSERT a request. For gunicorn; see `webhook.py`."""

from __future__ import annotations

import os
from functools import cache

import psycopg
from flask import Flask, Response, request
from psycopg_pool import ConnectionPool
from twilio.request_validator import RequestValidator

app = Flask(__name__)
validator = RequestValidator(os.environ["TOKEN"])
URL = os.environ["URL"]
INSERT = "INSERT INTO tutorial (sid, sender, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


@cache
def _connections() -> ConnectionPool:
    """Made in the worker: a pool does not survive a fork."""
    return ConnectionPool(os.environ["DSN"], min_size=1, max_size=4, open=True)


@app.post("/<path:path>")
def receive(path: str) -> Response:
    if not validator.validate(URL, request.form, request.headers.get("X-Twilio-Signature", "")):
        return Response(status=403)
    row = (request.form["MessageSid"], request.form["From"], request.form["Body"])
    if os.environ["POOLED"] == "1":
        with _connections().connection() as connection:
            connection.execute(INSERT, row)
    else:
        with psycopg.connect(os.environ["DSN"]) as connection:
            connection.execute(INSERT, row)
    return Response("<Response/>", mimetype="text/xml")
