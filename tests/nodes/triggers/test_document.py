"""Asking for a document or downloading it."""

import pytest

from flowserver.domain.steps import Fact
from flowserver.nodes.triggers.document import Document

from ..kit import NOW, mistakes, names

SAMPLES = [{}, {"act": "requested", "document": "Price list"}]


@pytest.mark.parametrize(
    ("settings", "type", "document", "answer"),
    [
        ({}, "document_downloaded", "Guide", True),
        ({}, "document_requested", "Guide", False),
        ({"act": "requested"}, "document_requested", "Guide", True),
        ({"document": "price list"}, "document_downloaded", "Price List", True),
        ({"document": "price list"}, "document_downloaded", "Guide", False),
    ],
)
def test_it_admits_what_was_done_with_the_document(settings, type, document, answer):
    assert Document(Document.load(settings)).admits(Fact(type, NOW, document)) is answer


def test_bad_answers_are_refused_at_their_field():
    assert mistakes(Document, {"act": "read"}) == {"act": ["Choose whether it is requested or downloaded"]}
    assert mistakes(Document, {"document": "x" * 121}) == {"document": ["Use 120 characters at most"]}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "When a contact downloads a document"),
        ({"act": "requested"}, "When a contact asks for a document"),
        ({"document": "Guide"}, "When a contact downloads Guide"),
        ({"act": "requested", "document": "Guide"}, "When a contact asks for Guide"),
    ],
)
def test_it_says_how_the_flow_starts(settings, words):
    assert Document(settings).sentence(names) == words
