"""The console's own mails (invitations, resets) through Flask-Mail, with the time-out and certificate checks it lacks."""

from __future__ import annotations

import smtplib
import ssl
from email.utils import make_msgid

import flask_mail
from flask import Flask, current_app

from flowserver.errors import ProviderAuthFailed, ProviderError, ProviderUnavailable
from flowserver.extensions import db
from flowserver.models import Workspace
from flowserver.text import N_


class Connection(flask_mail.Connection):
    """Flask-Mail's connection, opened the way our own SMTP sessions are."""

    def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        """An open, encrypted, logged-in line, as the ``MAIL_*`` settings say."""
        mail, timeout = self.mail, current_app.extensions["config"].mail_timeout
        context = ssl.create_default_context()
        host: smtplib.SMTP | smtplib.SMTP_SSL
        if mail.use_ssl:
            host = smtplib.SMTP_SSL(mail.server, mail.port, timeout=timeout, context=context)
        else:
            host = smtplib.SMTP(mail.server, mail.port, timeout=timeout)
        if mail.use_tls:
            host.starttls(context=context)
        if mail.username and mail.password:
            host.login(mail.username, mail.password)
        return host


class Mail(flask_mail.Mail):
    """Flask-Mail with :class:`Connection`."""

    def connect(self) -> Connection:
        """A connection to the mail server of the ``MAIL_*`` settings."""
        return Connection(self.app.extensions["mail"])  # type: ignore[union-attr]


def _mail(app: Flask) -> Mail:
    """Bound when first needed; suppressed only where the settings say so, not because tests run."""
    if "mail" not in app.extensions:
        Mail(app)
        app.extensions["mail"].suppress = app.config.get("MAIL_SUPPRESS_SEND", False)
    mail = Mail()
    mail.app = app
    return mail


def send(to: str, subject: str, text: str) -> None:
    """Send one mail of plain text now.

    Raises :class:`ProviderUnavailable` when the mail server is away, :class:`ProviderAuthFailed` when it refuses our
    log-in, :class:`ProviderError` when it refuses the mail.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    sender = _sender()
    message = flask_mail.Message(subject=" ".join(subject.split()), recipients=[to], body=text, sender=sender)
    message.msgId = make_msgid(domain=sender[1].rpartition("@")[2])  # its own names this machine
    try:
        _mail(app).send(message)
    except smtplib.SMTPAuthenticationError as error:
        raise ProviderAuthFailed(N_("The mail server refuses our user name and password")) from error
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as error:
        raise ProviderError(N_("The mail server did not take the mail")) from error
    except (OSError, smtplib.SMTPException) as error:
        raise ProviderUnavailable(N_("The mail server cannot be reached")) from error


def _sender() -> tuple[str, str]:
    """Name and address our own mails come from: the ``MAIL_DEFAULT_SENDER``, else the first client's sender."""
    config = current_app.extensions["config"]
    if config.mail_default_sender:
        return "flowserver", config.mail_default_sender
    query = db.select(Workspace.sender_email).where(Workspace.sender_email != "").order_by(Workspace.id).limit(1)
    found = db.session.scalar(query)
    host = (config.url.partition("://")[2].partition("/")[0].partition(":")[0]) or "localhost"
    return "flowserver", found or f"flowserver@{host}"
