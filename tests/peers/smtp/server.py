"""An SMTP server (aiosmtpd) for tests: writes what it took as JSON lines, mail as Python's `email` reads it.

Usage: server.py FOLDER [--starttls | --implicit] [--auth]. FOLDER has cert.pem and key.pem; mails.jsonl is written there.
Prints its port. unknown@ is refused for good, later@ for now. With --auth: user u, password "pässword", asked for.
Ends when its standard input does. With CATCHMENT_MAILS=FOLDER in the environment the mails are kept there, to be looked at.
"""

import csv
import email
import email.policy
import html.parser
import io
import json
import os
import pathlib
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder = pathlib.Path(sys.argv[1])
options = sys.argv[2:]


class Tags(html.parser.HTMLParser):
    """Tags that no mail of ours has."""

    def __init__(self):
        super().__init__()
        self.odd = []

    def handle_starttag(self, tag, attributes):
        known = {"html", "head", "meta", "title", "style", "body", "table", "tr", "td", "div", "span", "b", "br", "a"}
        bad = [name for name, value in attributes if name.startswith("on")]
        links = [v for name, v in attributes if name == "href" and not (v or "").startswith(("http://", "https://"))]
        if tag not in known or bad or links:
            self.odd.append(self.get_starttag_text())


def defects(part):
    found = [str(defect) for defect in part.defects]
    for value in part.values():
        found += [str(defect) for defect in getattr(value, "defects", [])]
    return found


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("unknown@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "450 4.2.1 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts, wrong, tags, table = [], defects(message), [], []
        for part in message.walk():
            wrong += defects(part)
            text = None if part.is_multipart() else part.get_content()
            parts.append({"type": part.get_content_type(), "text": text, "filename": part.get_filename()})
            if part.get_content_type() == "text/html":
                reader = Tags()
                reader.feed(text)
                tags = reader.odd
            if part.get_content_type() == "text/csv":
                table = list(csv.reader(io.StringIO(text)))
        mail = {
            "mail_from": envelope.mail_from,
            "rcpt_tos": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "parts": parts,
            "defects": wrong,
            "tags": tags,
            "csv": table,
            "longest_line": max(len(line) for line in envelope.content.split(b"\r\n")),
            "tls": session.ssl is not None or "--implicit" in options,
            "user": session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else None,
        }
        with open(folder / "mails.jsonl", "a") as out:
            out.write(json.dumps(mail) + "\n")
        if "CATCHMENT_MAILS" in os.environ:
            # For who wants to look at them.
            name = f"{len(list(pathlib.Path(os.environ['CATCHMENT_MAILS']).iterdir())):03}.eml"
            (pathlib.Path(os.environ["CATCHMENT_MAILS"]) / name).write_bytes(envelope.content)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.login == b"u" and data.password == "pässword".encode()
    return AuthResult(success=right, handled=right, auth_data=data if right else None)


context = None
if "--starttls" in options or "--implicit" in options:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")


class Server(Controller):
    def factory(self):
        auth = {"auth_required": True, "authenticator": authenticate} if "--auth" in options else {}
        tls = {"tls_context": context, "require_starttls": True} if "--starttls" in options else {}
        return SMTP(self.handler, hostname="localhost", enable_SMTPUTF8=False, **tls, **auth)

    # The base class tries the port it was given, which is chosen only now.
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


implicit = {"ssl_context": context} if "--implicit" in options else {}
controller = Server(Handler(), hostname="127.0.0.1", port=0, **implicit)
controller.start()
print(controller.port, flush=True)
sys.stdin.read()
controller.stop()
