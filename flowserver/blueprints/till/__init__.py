"""The till: what staff at a counter do with loyalty cards, on a phone or a tablet with a scanner."""
