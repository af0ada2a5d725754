"""The local mail server takes mail as a real one does and keeps it."""

import smtplib
import socket
from email.message import EmailMessage
from pathlib import Path

import pytest

from flowserver.services.messages.mailbox import Mailbox


def mail(subject: str = "Hello", to: str = "marta@people.example") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Caffè Lume <ciao@caffelume.example>"
    message["To"] = to
    message["Subject"] = subject
    message.set_content("Ciao Marta")
    message.add_alternative("<html><head></head><body><p>Ciao <b>Marta</b></p></body></html>", subtype="html")
    return message


@pytest.fixture
def server(local_part):
    port, program = local_part("mailbox")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        yield smtp
    assert program.stop() == 0


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data" / "mail").rglob("*.eml"))


def test_every_mail_of_a_session_is_kept_byte_by_byte(server, tmp_path):
    for number in range(20):
        server.send_message(mail(f"Letter {number}"))
    kept = files(tmp_path)
    assert len(kept) == 20
    assert b"Subject: Letter 7\r\n" in kept[7].read_bytes()
    assert "Ciao Marta" in kept[7].read_text()


def test_it_offers_what_the_worker_uses(server):
    server.ehlo()
    for word in ("size", "8bitmime", "smtputf8", "pipelining"):
        assert server.has_extn(word)


def test_a_name_starting_with_bounce_is_refused_for_good(server, tmp_path):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        server.send_message(mail(to="bounce@people.example"))
    assert refusal.value.recipients["bounce@people.example"][0] == 550
    server.send_message(mail())  # the session goes on
    assert len(files(tmp_path)) == 1


def test_commands_sent_ahead_are_answered_in_order(local_part, tmp_path):
    """A pipelining client sends the next mail's envelope before it has read the answers to the last."""
    port, _program = local_part("mailbox")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire, wire.makefile("rb") as answers:
        assert answers.readline().startswith(b"220")
        wire.sendall(b"EHLO test\r\n")
        while answers.readline()[3:4] == b"-":
            pass
        wire.sendall(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        assert [answers.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        wire.sendall(b"Subject: x\r\n\r\nhello\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<e@f.example>\r\nDATA\r\n")
        assert [answers.readline()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        wire.sendall(b"Subject: y\r\n\r\nagain\r\n.\r\nQUIT\r\n")
        assert [answers.readline()[:3] for _ in range(2)] == [b"250", b"221"]
    assert len(files(tmp_path)) == 2


def test_the_oldest_go_when_the_mailbox_is_full(tmp_path):
    box = Mailbox(tmp_path, most_mails=10)
    for number in range(1, 26):
        box.keep("a@b.example", ["c@d.example"], b"Subject: %d\r\n\r\nx\r\n" % number)
    left = sorted(int(path.stem) for path in (tmp_path / "mail").rglob("*.eml"))
    assert len(left) <= 10 and left[-1] == 25 and left == list(range(left[0], 26))
    box.close()
    again = Mailbox(tmp_path, most_mails=10)
    assert again.keep("a@b.example", ["c@d.example"], b"Subject: z\r\n\r\n") == 26
    again.close()


def test_the_size_of_all_mails_is_bounded(tmp_path):
    box = Mailbox(tmp_path, most_bytes=10_000)
    for _ in range(30):
        box.keep("a@b.example", ["c@d.example"], b"Subject: x\r\n\r\n" + b"y" * 1000)
    assert sum(path.stat().st_size for path in (tmp_path / "mail").rglob("*.eml")) <= 10_000
    box.close()
