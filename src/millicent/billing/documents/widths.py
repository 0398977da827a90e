"""How wide a text can be at most, without laying it out: bounds for the letters of the bill's own font.

A test measures the font itself, regular and bold, against these bounds.
"""

from functools import lru_cache

_BOUNDS = {  # hundredths of an em
    40: " \u00a0\u202f!\"'(),-./:;I\\J`fijlt{|}¡ª°·º´ÌÍÎÏìíîï’",
    50: "*?[]_cersz~§¿çèéêëšž“”",
    60: "#$+0123456789<=>FLS^abdgopquvxy«»àáâãäåðòóôõö÷øùúûüýþÿ±£¥€–−",
    75: "%&ABCDEGKNOPQRTUVXYZhknÀÁÂÃÄÅÇÈÉÊËÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßæñ®©—",
    105: "@HMWmwÆŒœ…",
}
_BOUND_OF = {letter: bound for bound, letters in _BOUNDS.items() for letter in letters}
UNBOUNDED = 1_000_000  # a letter that we know nothing of


def bounded_letters() -> str:
    return "".join(_BOUNDS.values())


@lru_cache(maxsize=8192)
def widest_centiems(text: str) -> int:
    """At most this wide in Libertinus Serif, regular or bold: hundredths of the text's size."""
    bound_of = _BOUND_OF.get
    return sum([bound_of(letter, UNBOUNDED) for letter in text])
