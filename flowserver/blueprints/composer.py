"""The composers: write an e-mail or an SMS, look at it as a contact sees it, send a test.

A page that has a message to write gives a :class:`Desk`: where the message is kept, and what stands around the composer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import wtforms
from flask import Response, flash, make_response, redirect, render_template, request
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import escape
from werkzeug.wrappers import Response as Answer

from flowserver.blueprints.console import policy
from flowserver.blueprints.flows.forms import Fields, put_errors
from flowserver.blueprints.say import say
from flowserver.domain import sms
from flowserver.errors import Conflict, Invalid, flat
from flowserver.nodes.base import NodeForm
from flowserver.services.flows import composer
from flowserver.text import N_, whole

BLOCK_WORDS = {
    "heading": ("heading", N_("Heading")),
    "text": ("field", N_("Text")),
    "button": ("button", N_("Button")),
    "image": ("image", N_("Picture")),
    "divider": ("merge", N_("Line")),
    "spacer": ("more", N_("Space")),
}
PART_WORDS = {
    "text": N_("Text"),
    "label": N_("Words on the button"),
    "url": N_("Address"),
    "alt": N_("What the picture shows, for people who cannot see it"),
    "link": N_("Where a click leads"),
}
FRAME = policy(
    default_src="'none'",
    img_src="https: http: data:",
    style_src="'unsafe-inline'",
    form_action="'none'",
    frame_ancestors="'self'",
    sandbox="",
)


class EmailForm(wtforms.Form):
    """What the composer asks beside the step's own form."""

    subject = wtforms.StringField(N_("Subject"), render_kw={"autocomplete": "off"})
    preheader = wtforms.StringField(
        N_("Preheader"), description=N_("The grey line after the subject. Most programs show about 90 characters.")
    )
    from_name = wtforms.StringField(N_("Sender name"), description=N_("Empty: the client's sender"))
    from_email = wtforms.StringField(
        N_("Sender address"), description=N_("Empty: the client's sender. Mail from other domains may be refused.")
    )
    text = wtforms.TextAreaField(
        N_("Plain-text part"), description=N_("Empty: made from the message"), render_kw={"rows": 6}
    )


@dataclass(slots=True)
class Desk:
    """A message that is being written: its settings, how they are saved, and what the page around them says."""

    sends: str  # email, sms
    title: str
    own: Mapping[str, Any]  # the settings as they are saved
    form: type[NodeForm]  # the questions beside those of the composer itself
    seen: str  # a print of the settings, so that nobody's text is lost
    save: Callable[[dict[str, Any], str], None]  # settings and what was seen; raises Invalid, Conflict
    here: str  # address of the composer; with /preview below it
    back: str
    back_label: str
    done: str  # where saving leads when the author is done
    lede: str
    crumbs: Sequence[tuple[str, str | None]]
    nav: str
    more: str  # what is folded away: sender, kind of message
    brought: Mapping[str, str] = field(default_factory=dict)  # what else it can show: {{ event.<name> }} in words

    @property
    def preview(self) -> str:
        """Address of the frame with the saved e-mail."""
        return f"{self.here}/preview"


def answer(desk: Desk) -> str | Answer | tuple[str, int]:
    """The composer's page, or where to go after saving."""
    return (_EmailPage(desk) if desk.sends == "email" else _SmsPage(desk)).answer()


def frame(content: Mapping[str, Any], reader: str) -> Response:
    """A saved e-mail as a contact sees it, for a frame: nothing in it may run, load scripts or lead out."""
    try:
        shown = composer.preview_email(content, reader[:20])
        html = shown["html"] or f"<pre>{escape(shown['text'])}</pre>"
    except Invalid as error:
        html = "".join(f"<p>{escape(say(text))}</p>" for text in flat(error.messages))
    response = make_response(html)
    response.headers["Content-Security-Policy"] = FRAME
    return response


def _send_test(sends: str, content: Mapping[str, Any], address: str) -> None:
    """Send the message, just saved, to oneself."""
    try:
        to = composer.send_test(sends, content, address, current_user.id)
    except Invalid as error:
        flash(" ".join(str(say(text)) for text in flat(error.messages)), "bad")
    else:
        flash(_("The test is on its way to %(address)s. It is counted nowhere.", address=to), "ok")


def _address(desk: Desk, reader: str = "", anchor: str = "") -> str:
    """The composer, read as somebody."""
    return desk.here + (f"?as={reader}" if reader.isalnum() else "") + (f"#{anchor}" if anchor else "")


class _Page:
    """What both composers share."""

    template = ""

    def __init__(self, desk: Desk):
        self.desk = desk
        self.own = desk.own
        self.posted = request.form if request.method == "POST" else None
        self.node_form = desk.form(self.posted, data=desk.form.from_settings(self.own))
        self.reader = request.values.get("as", "")[:20]
        self.act = request.form.get("act", "") if self.posted is not None else ""
        self.conflict: Conflict | None = None
        self.errors = False

    def settings(self) -> dict[str, Any]:
        """The settings as typed."""
        raise NotImplementedError

    def forms(self) -> list[wtforms.Form]:
        """Every form of the page, for errors."""
        return [self.node_form]

    def save(self) -> Answer | None:
        """Save what was typed; ``None`` when the page must be shown again."""
        try:
            self.desk.save(self.settings(), request.form.get("seen", ""))
        except Invalid as error:
            self.errors = True
            for form in self.forms():
                put_errors(form, {name: t for name, t in error.messages.items() if name in _names(form)})
            known = set().union(*(_names(form) for form in self.forms()))
            rest = {name: texts for name, texts in error.messages.items() if name not in known}
            put_errors(self.forms()[0], rest)
        except Conflict as error:
            self.conflict = error
        else:
            if self.act == "done":
                return redirect(self.desk.done, 303)
            if self.act == "test":
                _send_test(self.desk.sends, self.settings(), request.form.get("address", ""))
                return redirect(_address(self.desk, self.reader, "test"), 303)
            return redirect(self.address(), 303)
        return None

    def address(self) -> str:
        """The page again, where the person was."""
        return _address(self.desk, self.reader)

    def answer(self) -> str | Answer | tuple[str, int]:
        """The page, or where to go after saving."""
        if self.posted is None:
            return self.render()
        saved = self.save()
        if saved is not None:
            return saved
        return self.render(), 409 if self.conflict else 422

    def called(self) -> str:
        """What the message is called: its own name, or how it reads."""
        return str(self.own.get("title") or "")

    def render(self, **more: Any) -> str:
        """Draw the page."""
        readers = composer.readers()
        self.reader = self.reader or readers[0].id
        content = self.settings() if self.posted is not None else self.own
        return render_template(
            self.template,
            desk=self.desk,
            called=self.called(),
            node_form=self.node_form,
            fields=Fields([field for form in self.forms() for field in form], self.forms()[0].form_errors),
            errors=self.errors,
            conflict=self.conflict,
            seen=self.desk.seen,
            readers=readers,
            reader=self.reader,
            remarks=composer.remarks(self.desk.sends, content),
            variables=composer.variables(self.desk.brought),
            my_address=composer.my_address(current_user.id),
            **more,
        )


def _names(form: wtforms.Form) -> set[str]:
    return {field.short_name for field in form}


# --- e-mail ------------------------------------------------------------------------------------------------


class _EmailPage(_Page):
    template = "composer/email.html"

    def __init__(self, desk: Desk):
        super().__init__(desk)
        self.form = EmailForm(self.posted, data=self.own)
        self.spot = ""  # the block to come back to

    def forms(self) -> list[wtforms.Form]:
        return [self.form, self.node_form]

    def body(self) -> Any:
        """Blocks, or own HTML, as typed and after the button that was pressed."""
        if self.posted is None:
            return self.own.get("body", [])
        if request.form.get("mode") == "html":
            html = request.form.get("html", "")
            return composer.as_blocks(html) if self.act == "use-blocks" else html
        blocks = [block for _number, block in _posted_blocks(request.form)]
        if self.act == "use-html":
            return composer.as_html(blocks)
        return self._acted(blocks)

    def _acted(self, blocks: list[dict[str, str]]) -> list[dict[str, str]]:
        word, _dash, which = self.act.partition("-")
        if word == "add" and which in composer.BLOCKS:
            self.spot = f"block-{len(blocks)}"
            return [*blocks, {"type": which}]
        index = whole(which)
        if index is None or not 0 <= index < len(blocks):
            return blocks
        if word == "remove":
            self.spot = f"block-{max(index - 1, 0)}"
            return blocks[:index] + blocks[index + 1 :]
        other = {"up": index - 1, "down": index + 1}.get(word, index)
        if 0 <= other < len(blocks):
            blocks[index], blocks[other] = blocks[other], blocks[index]
        self.spot = f"block-{min(max(other, 0), len(blocks) - 1)}"
        return blocks

    def settings(self) -> dict[str, Any]:
        typed = {name: (value or "").strip() for name, value in self.form.data.items()}
        own = self.node_form.to_settings()
        return {**own, **{name: value for name, value in typed.items() if value}, "body": self.body()}

    def address(self) -> str:
        return super().address() + (f"#{self.spot}" if self.spot else "")

    def called(self) -> str:
        return super().called() or _shown(self.own, self.reader)["subject"]

    def render(self, **more: Any) -> str:
        body = self.body()
        own_html = isinstance(body, str)
        return super().render(
            form=self.form,
            own_html=own_html,
            html=body if own_html else "",
            blocks=[] if own_html else body,
            parts=composer.BLOCKS,
            block_words=BLOCK_WORDS,
            part_words=PART_WORDS,
            shown=_shown(self.own, self.reader),
            **more,
        )


def _posted_blocks(form: Any) -> list[tuple[int, dict[str, str]]]:
    """Blocks in the order the page shows them; unknown ones are left out."""
    found = []
    for number in form.getlist("block")[:200]:
        kind = form.get(f"b{number}-type", "")
        if kind in composer.BLOCKS:
            parts = {name: form.get(f"b{number}-{name}", "").strip() for name in composer.BLOCKS[kind]}
            found.append((whole(number) or 0, {"type": kind, **parts}))
    return found


def _shown(content: Mapping[str, Any], reader: str) -> dict[str, str]:
    """What the inbox line reads, "" where it cannot be read yet."""
    try:
        return composer.preview_email(content, reader or composer.readers()[0].id)
    except Invalid:
        return {"subject": "", "preheader": "", "html": "", "text": ""}


# --- SMS ---------------------------------------------------------------------------------------------------


class _SmsPage(_Page):
    template = "composer/sms.html"

    def settings(self) -> dict[str, Any]:
        own = dict(self.node_form.to_settings())
        if self.act == "plain":
            own["text"] = sms.plain(str(own.get("text") or ""))
        return own

    def answer(self) -> str | Answer | tuple[str, int]:
        if self.act in ("count", "plain"):
            self.node_form.text.data = self.settings().get("text", "")
            return self.render()
        return super().answer()

    def render(self, **more: Any) -> str:
        self.reader = self.reader or composer.readers()[0].id
        content = self.settings() if self.posted is not None else self.own
        try:
            shown = composer.preview_sms(content, self.reader)
        except Invalid:
            shown = {"text": content.get("text", ""), "count": sms.count(""), "sender": composer.sms_sender()}
        sample = {name: str(value) for name, value in composer.facts_of(self.reader).items() if value is not None}
        return super().render(shown=shown, sample=sample, usual_sender=composer.sms_sender(), **more)
