"""Countries by two-letter code (ISO 3166-1 alpha-2, and Kosovo's ``xk``), and their names in a reader's language.

Inside the program a country is its code in lower case, which is also the region of a country's series.
"""

from __future__ import annotations

from functools import lru_cache

_CODES = (
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by bz ca "
    "cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo fr ga "
    "gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp "
    "ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq mr ms "
    "mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs "
    "ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw "
    "tz ua ug um us uy uz va vc ve vg vi vn vu wf ws xk ye yt za zm zw"
)
COUNTRIES = frozenset(_CODES.split())
"""All codes, lower case."""

_ALIASES = {"uk": "gb", "usa": "us", "united states of america": "us", "england": "gb", "czech republic": "cz"}


def country_code(text: str) -> str | None:
    """*text* as a code, whatever its case; ``uk`` is understood. None when it is none."""
    code = text.strip().lower()
    code = _ALIASES.get(code, code) if len(code) == 2 else code
    return code if code in COUNTRIES else None


@lru_cache(maxsize=64)
def country_names(locale: str) -> dict[str, str]:
    """Code → name in the language of *locale* (``en-US``, ``de``)."""
    from babel import Locale  # not at the top: the parsing process needs the codes alone

    territories = Locale.parse(locale, sep="-").territories
    return {code: str(territories.get(code.upper(), code.upper())) for code in COUNTRIES}


def country_name(code: str, locale: str) -> str | None:
    """Name of a country in the language of *locale*; None when *code* is none."""
    return country_names(locale).get(code)


def find_country(text: str, *locales: str) -> str | None:
    """The country that *text* names, as a code or in one of the languages (English besides); None when it is none."""
    wanted = " ".join(text.split()).casefold()
    if (code := country_code(_ALIASES.get(wanted, wanted))) is not None:
        return code
    for locale in dict.fromkeys((*locales, "en")):
        for code, name in country_names(locale).items():
            if name.casefold() == wanted:
                return code
    return None
