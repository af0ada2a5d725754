"""A client's colour, and what can be read on it."""

from __future__ import annotations

LEAST = 4.5  # contrast WCAG asks of text


def ink_on(color: str) -> str:
    """White or near-black, whichever is read better on ``#rrggbb``."""
    return max(("#ffffff", "#1b2023"), key=lambda ink: contrast(color, ink))


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG counts it: 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
