"""Currencies for display: fixed rates that the operator wrote down, each with its day."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from babel import Locale
from babel.numbers import get_currency_name, list_currencies
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

USD = "USD"
CURRENCIES_FILE = Path(__file__).parent / "currencies.toml"


class Rate(BaseModel):
    """One currency's rate: ``per_usd`` units for one US dollar, read on the day ``as_of``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_usd: Annotated[float, Field(gt=0, lt=1e9, allow_inf_nan=False)]
    as_of: date
    source: Annotated[str, Field(max_length=80)] = ""


_RATES = TypeAdapter(dict[str, Rate])


@dataclass(frozen=True, slots=True)
class Currencies:
    """US dollars and whatever the operator gave a rate for."""

    rates: Mapping[str, Rate]

    @classmethod
    def load(cls, path: Path = CURRENCIES_FILE) -> Currencies:
        """Read the file.

        Raises:
            ValueError: it cannot be read, or an entry is wrong; the message names both.
        """
        try:
            rates = _RATES.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ValueError(f"CURRENCIES_FILE {path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"CURRENCIES_FILE {path} is no TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"CURRENCIES_FILE {path}: {where}: {first['msg']}") from error
        known = list_currencies()
        for code in rates:
            if code == USD or code not in known:
                raise ValueError(f"CURRENCIES_FILE {path}: {code} is not a currency code other than USD")
        return cls(rates)

    @property
    def codes(self) -> tuple[str, ...]:
        """Every currency that can be chosen, US dollars first."""
        return (USD, *sorted(self.rates))

    def get(self, code: str | None) -> Rate | None:
        """The rate of *code*; None for US dollars and for what has no rate (any more)."""
        return None if code is None else self.rates.get(code)

    @staticmethod
    def name(code: str, locale: str) -> str:
        """The currency's name in the reader's language, e.g. ``Euro``."""
        return str(get_currency_name(code, locale=Locale.parse(locale, sep="-")))


@lru_cache(maxsize=1)
def default_currencies() -> Currencies:
    """The file that ships with the program."""
    return Currencies.load()
