"""A card's number as a picture that tills scan: QR code or EAN-13 barcode, as SVG without style, script or size."""

from __future__ import annotations

import io

import barcode
import segno

_QUIET = 11  # modules of white on either side of a barcode (ISO/IEC 15420 asks for 11 and 7)
_HEIGHT = 60


def svg(kind: str, number: str) -> str:
    """The number as ``qr`` or ``barcode``, black on white in any theme."""
    return _barcode(number) if kind == "barcode" else _qr(number)


def _qr(number: str) -> str:
    out = io.BytesIO()
    code = segno.make_qr(number, error="m")
    code.save(out, kind="svg", border=4, xmldecl=False, omitsize=True, light="#fff", svgclass=None, lineclass=None)
    return out.getvalue().decode()


def _barcode(number: str) -> str:
    modules = barcode.get("ean13", number).build()[0]
    bars = "".join(f"M{_QUIET + at} 0h1v{_HEIGHT}h-1z" for at, module in enumerate(modules) if module != "0")
    width = len(modules) + 2 * _QUIET
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -6 {width} {_HEIGHT + 12}">'
        f'<path fill="#fff" d="M0 -6h{width}v{_HEIGHT + 12}H0z"/><path d="{bars}"/></svg>'
    )
