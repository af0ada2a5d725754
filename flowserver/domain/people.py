"""What people type about themselves, made uniform: addresses, numbers, names and the values of custom fields.

Every function takes text from anywhere (a form, a CSV cell, the API) and returns the one way we keep it, or raises
:class:`Invalid` with a sentence for the person who typed it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import email_validator
import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.dates import get_month_names

from flowserver.errors import Invalid
from flowserver.text import N_, Text

NAME_LENGTH = 120
TEXT_LENGTH = 500
MOST_CHOICES = 200
FIELD_TYPES = ("text", "number", "date", "yes_no", "choice")

# Addresses that vanish after ten minutes. The list is short on purpose: double opt-in does the real work.
_DISPOSABLE = frozenset(
    [
        "mailinator.com",
        "guerrillamail.com",
        "guerrillamail.info",
        "sharklasers.com",
        "grr.la",
        "yopmail.com",
        "yopmail.fr",
        "10minutemail.com",
        "10minutemail.net",
        "20minutemail.com",
        "temp-mail.org",
        "temp-mail.io",
        "tempmail.com",
        "tempmail.net",
        "tempmailo.com",
        "tempail.com",
        "trashmail.com",
        "trashmail.de",
        "trash-mail.com",
        "wegwerfmail.de",
        "throwawaymail.com",
        "throwaway.email",
        "dispostable.com",
        "getnada.com",
        "nada.email",
        "maildrop.cc",
        "fakeinbox.com",
        "mintemail.com",
        "mohmal.com",
        "emailondeck.com",
        "mytemp.email",
        "mailnesia.com",
        "mailcatch.com",
        "spamgourmet.com",
        "discard.email",
        "moakt.com",
        "burnermail.io",
        "inboxkitten.com",
        "mail-temp.com",
        "minuteinbox.com",
        "tempinbox.com",
        "spambox.us",
    ]
)
_DISPOSABLE_LOOK = re.compile(
    r"temp-?mail|trash-?mail|throw-?away|(?:10|20|ten)-?min(?:ute)?s?-?mail|guerrillamail|mailinator|yopmail"
    r"|disposable|fake-?(?:inbox|mail)|wegwerf|burner-?mail|spam-?mail"
)
# Numbers a regulator keeps for films and examples: nobody has them, so metadata calls them invalid.
_FOR_EXAMPLES = ("+447700900", "+441632960")
_UNSEEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Customs:
    """How people of one client write: the country of national phone numbers, the language of months and decimals."""

    country: str = ""  # two letters; empty: numbers must be international
    locale: str = "en"
    month_first: bool = False  # 12/31/2026
    zone: str = "UTC"  # on whose clock a moment has its day

    @classmethod
    def of(cls, country: str, locale: str, zone: str = "UTC") -> Customs:
        """The customs of a country: only the United States and a few others write the month first."""
        return cls(country.upper(), locale or "en", country.upper() in ("US", "PH", "FM", "MH", "PW"), zone or "UTC")

    @property
    def decimal(self) -> str:
        """The sign between whole and part, a comma or a point, as the country writes it."""
        return _decimal_sign(f"und_{self.country}" if self.country else self.locale)


# --- text ----------------------------------------------------------------------------------------------


def clean(raw: Any) -> str:
    """One line of text: NFC, no control or invisible characters, white space collapsed, trimmed."""
    text = "" if raw is None else str(raw)
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    text = unicodedata.normalize("NFC", text)
    kept = "".join(" " if char in "\t\r\n\v\f\u2028\u2029" else char for char in text)
    kept = "".join(char for char in kept if char == "\u200d" or unicodedata.category(char) not in _UNSEEN)
    return " ".join(kept.split())


def name(raw: Any, most: int = NAME_LENGTH) -> str:
    """A person's name or another short label. Refuses markup and addresses, which only senders of spam write there."""
    text = clean(raw)
    if len(text) > most:
        raise Invalid(Text("Use at most %(most)s characters", most=most))
    if re.search(r"[<>]|://|\bwww\.", text, re.IGNORECASE):
        raise Invalid(N_("Write a name without signs like < and > and without links"))
    return text


def line(raw: Any, most: int = TEXT_LENGTH) -> str:
    """A line of free text. Refuses markup."""
    text = clean(raw)
    if len(text) > most:
        raise Invalid(Text("Use at most %(most)s characters", most=most))
    if re.search(r"<[a-z/!?]", text, re.IGNORECASE):
        raise Invalid(N_("Write plain text without HTML"))
    return text


def external_id(raw: Any) -> str:
    """The id another system knows the contact by."""
    if isinstance(raw, bool | float | Mapping) or not isinstance(raw, str | int):
        raise Invalid(N_("Write the external ID as text"))
    text = clean(raw)
    if len(text) > 120:
        raise Invalid(Text("Use at most %(most)s characters", most=120))
    return text


def tag(raw: Any) -> str:
    """A tag: trimmed, lower case, 1 to 60 characters."""
    text = line(raw, 60).lower()
    if not text:
        raise Invalid(N_("Write the tag"))
    if "," in text or ";" in text:
        raise Invalid(N_("Write a tag without commas"))
    return text


# --- addresses -----------------------------------------------------------------------------------------


def email(raw: Any) -> str:
    """An e-mail address in lower case, its domain in the letters of the mail system. No look-up is made."""
    if not isinstance(raw, str):
        raise Invalid(_NO_EMAIL)
    text = clean(raw).strip("<>").removeprefix("mailto:").lower()
    local, _, domain = text.rpartition("@")
    here = domain == "localhost" or domain.endswith(".localhost")  # for tests on one machine
    try:
        found = email_validator.validate_email(
            f"{local}@{'localhost.test' if here else domain}",
            check_deliverability=False,
            allow_smtputf8=False,
            test_environment=True,
        )
    except email_validator.EmailNotValidError:
        raise Invalid(_NO_EMAIL) from None
    return f"{found.ascii_local_part}@{domain if here else found.ascii_domain}".lower()


_NO_EMAIL = N_("Enter an e-mail address like name@example.com")


def is_disposable(address: str) -> bool:
    """Whether a checked address looks like one that is thrown away after use."""
    labels = address.rpartition("@")[2].split(".")
    parents = (".".join(labels[start:]) for start in range(len(labels) - 1))
    return any(parent in _DISPOSABLE for parent in parents) or bool(_DISPOSABLE_LOOK.search(".".join(labels[:-1])))


def phone(raw: Any, country: str = "") -> str:
    """A phone number as E.164 (+393331234567). National ways of writing are read in ``country`` (two letters)."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str):
        raise Invalid(N_("Write the phone number as text"))
    text = clean(raw).lstrip("'").strip()
    if re.fullmatch(r"\d[.,]\d+E\+?\d+", text, re.IGNORECASE):
        raise Invalid(N_("A spreadsheet shortened this number. Format the column as text and export it again"))
    text = re.sub(r"^\s*00(?=[\s1-9])", "+", re.sub(r"^(?:tel|phone)[:.]\s*", "", text, flags=re.IGNORECASE))
    if len(text) > 40 or not re.fullmatch(r"[+＋]?[\d\s().\-/‐‑‒–]*\d[\d\s().\-/‐‑‒–]*", text):
        raise Invalid(N_("Enter a phone number like +39 333 123 4567"))
    if not text.startswith(("+", "＋")) and not country:
        raise Invalid(N_("Start the phone number with + and the country code"))
    return _e164(text, country)


def _e164(text: str, country: str) -> str:
    try:
        number = phonenumbers.parse(text, country.upper() or None)
    except phonenumbers.NumberParseException:
        raise Invalid(N_("Enter a phone number like +39 333 123 4567")) from None
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_valid_number(number) and not (
        found.startswith(_FOR_EXAMPLES) and phonenumbers.is_possible_number(number)
    ):
        raise Invalid(N_("This phone number does not exist. Check the digits and the country code"))
    return found


def show_phone(number: str) -> str:
    """An E.164 number in groups, as people read it: +39 333 123 4567."""
    try:
        return phonenumbers.format_number(
            phonenumbers.parse(number, None), phonenumbers.PhoneNumberFormat.INTERNATIONAL
        )
    except phonenumbers.NumberParseException:
        return number


def countries() -> list[str]:
    """The two-letter codes of all countries whose national numbers we can read."""
    return sorted(phonenumbers.SUPPORTED_REGIONS)


# --- custom fields -------------------------------------------------------------------------------------


def value(type_: str, raw: Any, choices: Sequence[str] = (), customs: Customs | None = None) -> Any:
    """``raw`` as a value of a custom field of this type; ``None`` when it is empty.

    Text stays text, a number becomes int or float, a date becomes ISO text, yes/no a bool, a choice the choice as
    written in the field. Raises :class:`Invalid` saying what the field takes.
    """
    if raw is None or (isinstance(raw, str) and not clean(raw)):
        return None
    if not isinstance(raw, str | int | float | bool | date):
        raise Invalid(N_("Write one value, not a list or an object"))
    return _READERS[type_](raw, tuple(choices), customs or Customs())


def _text(raw: Any, _choices: Sequence[str], _customs: Customs) -> str:
    if isinstance(raw, bool):
        raise Invalid(N_("Write text"))
    return line(raw)


def _number(raw: Any, _choices: Sequence[str], customs: Customs) -> int | float:
    if isinstance(raw, bool):
        raise Invalid(_NO_NUMBER)
    number = _parsed_number(raw, customs) if isinstance(raw, str) else raw
    if not isinstance(number, int | float) or math.isnan(number):
        raise Invalid(_NO_NUMBER)
    if abs(number) >= 1e15:
        raise Invalid(N_("Write a number below 1,000,000,000,000,000"))
    return int(number) if float(number).is_integer() else float(number)


_NO_NUMBER = N_("Write a number, like 12 or 3.5")


def _parsed_number(raw: str, customs: Customs) -> float:
    text = re.sub(r"[\s'’_\u00a0\u202f]", "", unicodedata.normalize("NFKC", clean(raw))).replace("−", "-")
    if not re.fullmatch(r"[+-]?(?:\d[\d.,]*|[.,]\d+)", text):
        raise Invalid(_NO_NUMBER)
    mark = _decimal_mark(text, customs)
    whole, _, part = text.partition(mark) if mark else (text, "", "")
    thousands = {".", ","} - {mark}
    groups = re.split("[" + re.escape("".join(sorted(thousands))) + "]", whole.lstrip("+-"))
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        raise Invalid(_NO_NUMBER)
    if not re.fullmatch(r"\d*", part):
        raise Invalid(_NO_NUMBER)
    return float(("-" if text.startswith("-") else "") + ("".join(groups) or "0") + "." + (part or "0"))


def _decimal_mark(text: str, customs: Customs) -> str:
    """Which of ``.`` and ``,`` separates the decimals; one that stands before exactly three digits is asked of the country."""
    marks = [char for char in text if char in ".,"]
    if not marks or (len(marks) > 1 and len(set(marks)) == 1):
        return ""
    if len(set(marks)) == 2:
        return marks[-1] if marks.count(marks[-1]) == 1 else ""
    looks_like_thousands = re.fullmatch(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", text)
    return marks[0] if not looks_like_thousands or marks[0] == customs.decimal else ""


@cache
def _decimal_sign(locale: str) -> str:
    try:
        symbols = Locale.parse(locale, sep="-" if "-" in locale else "_").number_symbols
    except (UnknownLocaleError, ValueError):
        return "."
    return "," if symbols.get("latn", symbols).get("decimal") == "," else "."


def _date(raw: Any, _choices: Sequence[str], customs: Customs) -> str:
    moment = raw if isinstance(raw, datetime) else _moment(raw)
    if moment is not None:
        raw = _day(moment, customs).isoformat()
    if isinstance(raw, date):
        return raw.isoformat()
    if not isinstance(raw, str):
        raise Invalid(_NO_DATE)
    year, month, day = _date_parts(clean(raw).lower(), customs)
    try:
        found = date(year, month, day)
    except ValueError:
        raise Invalid(Text("The date %(date)s does not exist", date=clean(raw))) from None
    if not 1800 <= found.year <= 2200:
        raise Invalid(N_("Write a date between the years 1800 and 2200"))
    return found.isoformat()


def _moment(raw: Any) -> datetime | None:
    """A moment with its offset, as programs write it; ``None`` for whatever else."""
    if not isinstance(raw, str) or "T" not in raw.upper():
        return None
    try:
        found = datetime.fromisoformat(raw.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _day(moment: datetime, customs: Customs) -> date:
    """The day of a moment on the client's clock. Midnight stands for a day without a time, as programs write birthdays."""
    if moment.tzinfo is None or moment.time() == time():
        return moment.date()
    try:
        return moment.astimezone(ZoneInfo(customs.zone)).date()
    except OverflowError:
        return moment.date()


_NO_DATE = N_("Write a date like 2026-05-31")


def _date_parts(text: str, customs: Customs) -> tuple[int, int, int]:
    if found := re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\.?(?:[t ].*)?", text):
        year, month, day = map(int, found.groups())
        return year, month, day
    if found := re.fullmatch(r"(\d{1,2})[-/. ]+(\d{1,2})[-/. ]+(\d{2}|\d{4})(?: r\.?)?(?: \d{1,2}:\d\d.*)?", text):
        first, second, year = map(int, found.groups())
        day, month = (second, first) if customs.month_first else (first, second)
        return _full_year(year, found.group(3)), month, day
    words = re.findall(r"\d+|[^\W\d_]+", text)
    names = {**_months(f"und_{customs.country}"), **_months(customs.locale)}
    months = [names[word] for word in words if word in names]
    digits = [word for word in words if word.isdecimal()]
    if len(months) == 1 and len(digits) == 2 and len(words) <= 5:
        day_first = len(digits[0]) <= 2
        day_text, year_text = (digits[0], digits[1]) if day_first else (digits[1], digits[0])
        return _full_year(int(year_text), year_text), months[0], int(day_text)
    raise Invalid(_NO_DATE)


def _full_year(year: int, typed: str) -> int:
    """Two digits mean 1930 to 2029, as in spreadsheets."""
    return year if len(typed) > 2 else year + (2000 if year < 30 else 1900)


@cache
def _months(locale: str) -> Mapping[str, int]:
    """Names of the months in this language and in English, Italian and Polish."""
    found: dict[str, int] = {}
    for code in (locale, "pl", "it", "en"):
        try:
            parsed = Locale.parse(code, sep="-" if "-" in code else "_")
        except (UnknownLocaleError, ValueError):
            continue
        for width in ("wide", "abbreviated"):
            for context in ("format", "stand-alone"):
                for number, word in get_month_names(width, context, parsed).items():
                    found[word.lower().rstrip(".")] = number
    return found


_YES = frozenset(
    ["yes", "y", "true", "t", "1", "on", "x", "si", "sì", "s", "vero", "tak", "prawda", "ja", "oui", "sí", "✓", "✔"]
)
_NO = frozenset(["no", "n", "false", "f", "0", "off", "falso", "nie", "fałsz", "nein", "non"])


def _yes_no(raw: Any, _choices: Sequence[str], _customs: Customs) -> bool:
    if isinstance(raw, bool):
        return raw
    word = clean(raw).casefold()
    if word in _YES or word in _NO:
        return word in _YES
    raise Invalid(N_("Write yes or no"))


def _choice(raw: Any, choices: Sequence[str], _customs: Customs) -> str:
    wanted = clean(raw).casefold()
    for option in choices:
        if clean(option).casefold() == wanted:
            return option
    raise Invalid(Text("Choose one of: %(choices)s", choices=", ".join(choices)))


_READERS = {"text": _text, "number": _number, "date": _date, "yes_no": _yes_no, "choice": _choice}


# --- whole contacts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spec:
    """A custom field as far as values care."""

    key: str
    label: str
    type: str
    choices: tuple[str, ...] = ()


TEXTS = ("email", "phone", "external_id", "first_name", "last_name", "locale")


def contact_values(raw: Mapping[str, Any], specs: Mapping[str, Spec], customs: Customs) -> dict[str, Any]:
    """The values of a contact, checked and made uniform; only the keys that were given.

    ``raw`` may hold the keys of :data:`TEXTS` and ``fields`` (``{key: value}``). Empty text and ``None`` mean
    "clear": ``None`` for addresses and custom fields, ``""`` for names. Raises :class:`Invalid` with every mistake by
    field; those of custom fields stand under ``fields``.
    """
    found: dict[str, Any] = {}
    mistakes: dict[str, Any] = {}
    for key in (key for key in TEXTS if key in raw):
        try:
            found[key] = contact_text(key, raw[key], customs)
        except Invalid as error:
            mistakes[key] = error.messages["_"]
    given = raw.get("fields") or {}
    values, wrong = field_values(given, specs, customs) if isinstance(given, Mapping) else ({}, {"_": [_NO_OBJECT]})
    if wrong:
        mistakes["fields"] = wrong
    if mistakes:
        raise Invalid(mistakes)
    return {**found, **({"fields": values} if values else {})}


_NO_OBJECT = N_("Write the fields as an object of key and value")


def contact_text(key: str, raw: Any, customs: Customs) -> str | None:
    """One of :data:`TEXTS`, checked. Empty means ``None`` for addresses and ``""`` for names."""
    empty = raw is None or (isinstance(raw, str) and not clean(raw))
    if key in ("first_name", "last_name", "locale"):
        if not isinstance(raw, str | None):
            raise Invalid(N_("Write text"))
        return language(raw) if key == "locale" else name(raw)
    if empty:
        return None
    return {"email": email, "external_id": external_id}[key](raw) if key != "phone" else phone(raw, customs.country)


def language(raw: Any) -> str:
    """A language code such as ``it`` or ``pt-BR``; empty stays empty."""
    text = clean(raw).replace("_", "-")
    if text and not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z]{2,4})?", text):
        raise Invalid(N_("Write the language as a code like en, it or pl"))
    head, _, tail = text.partition("-")
    return head.lower() + (f"-{tail.upper() if len(tail) == 2 else tail.title()}" if tail else "")


def field_values(
    raw: Mapping[str, Any], specs: Mapping[str, Spec], customs: Customs
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """``(values, mistakes)`` of custom fields by key; unknown keys are mistakes."""
    values: dict[str, Any] = {}
    mistakes: dict[str, list[str]] = {}
    for key, given in raw.items():
        spec = specs.get(str(key))
        if spec is None:
            mistakes[str(key)[:60]] = [Text("There is no field “%(key)s”", key=str(key)[:60])]
            continue
        try:
            values[spec.key] = value(spec.type, given, spec.choices, customs)
        except Invalid as error:
            mistakes[spec.key] = error.messages["_"]
    return values, mistakes
