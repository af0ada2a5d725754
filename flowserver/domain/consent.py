"""The channels a contact can agree to or withdraw from, and how the answers are called."""

from __future__ import annotations

from flowserver.text import N_

CHANNELS = {
    "email": N_("E-mail"),
    "sms": N_("SMS"),
    "web_push": N_("Web push"),
    "mobile_push": N_("Mobile push"),
    "ads": N_("Ads"),
}
"""All channels with their names. Of some we only keep what the contact said: other systems send there."""

STATES = ("given", "withdrawn")
ADDRESSES = {"email": "email", "sms": "phone"}
"""Which attribute of a contact is its address on a channel."""


def column(channel: str) -> str:
    """The attribute of a contact that says ``none``, ``given`` or ``withdrawn``."""
    return f"{channel}_consent"


COLUMNS = tuple(column(channel) for channel in CHANNELS)
