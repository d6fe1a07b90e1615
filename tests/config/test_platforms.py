"""The platform catalogue: who may host where, on what terms, and who reported a price."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.platforms import PlatformCatalogue, PlatformError

CATALOGUE = PlatformCatalogue.load()


@pytest.mark.parametrize(
    ("spelling", "slug"),
    [
        ("Vast.ai", "vast"),
        ("vast", "vast"),
        ("VAST AI", "vast"),
        ("RunPod", "runpod"),
        ("runpod.io", "runpod"),
        ("Lambda Labs", "lambda"),
        ("Genesis Cloud", "genesis"),
        ("DataCrunch", "verda"),
        ("oracle cloud", "oci"),
    ],
)
def test_a_spelling_resolves(spelling: str, slug: str) -> None:
    found = CATALOGUE.resolve(spelling)
    assert found is not None and found.slug == slug
    assert CATALOGUE.get(slug) is found


def test_an_unknown_platform_is_none_with_a_suggestion() -> None:
    assert CATALOGUE.resolve("vats") is None
    assert CATALOGUE.resolve("") is None
    assert CATALOGUE.suggest("vsat.ai")[0].slug == "vast"


def test_terms_for_hosts() -> None:
    terms = {p.slug: (p.who_may_host, p.host_sets_price, p.host_share) for p in CATALOGUE.platforms}
    assert terms["vast"] == ("open", True, 0.75)
    assert terms["runpod"] == ("existing hosts", False, None)
    assert terms["lambda"] == terms["paperspace"] == terms["genesis"] == ("no", False, None)
    assert {slug for slug, (who, _, _) in terms.items() if who == "open"} == {"vast", "salad", "tensordock"}


def test_the_hosts_part_of_a_renters_price() -> None:
    vast, runpod = CATALOGUE.get("vast"), CATALOGUE.get("runpod")
    assert vast is not None and runpod is not None
    assert vast.host_take(0.40) == pytest.approx(0.30)
    assert runpod.host_take(0.40) is None
    assert vast.takes_new_hosts and not runpod.takes_new_hosts


def test_search() -> None:
    assert [p.slug for p in CATALOGUE.search("")][:2] == ["vast", "runpod"]
    assert CATALOGUE.search("va")[0].slug == "vast"
    assert CATALOGUE.search("lamda")[0].slug == "lambda"
    assert CATALOGUE.search("qqqq") == []


def test_colours_tell_platforms_apart() -> None:
    colours = [p.colour_value for p in CATALOGUE.platforms]
    assert len(set(colours)) == len(colours)
    assert all(0 <= colour <= 0xFFFFFF for colour in colours)


def test_sources_carry_their_link() -> None:
    farm, simulator = CATALOGUE.source("500.farm"), CATALOGUE.source("simulator")
    assert farm is not None and simulator is not None
    assert (farm.url, farm.simulated) == ("https://500.farm", False)
    assert (simulator.url, simulator.simulated) == (None, True)
    assert CATALOGUE.source("elsewhere") is None


ENTRY = """
[[platform]]
slug = "a"
name = "A"
url = "https://a.example"
who_may_host = "open"
host_sets_price = true
colour = "#112233"
emoji_name = "aa"
"""


@pytest.mark.parametrize(
    "text",
    [
        "[[platform",
        ENTRY,
        ENTRY.replace('"open"', '"everyone"') + "[[source]]",
        ENTRY.replace("https:", "javascript:") + '[[source]]\nslug="s"\nname="s"\nplatforms=[]\nsimulated=true',
        ENTRY + '[[source]]\nslug="s"\nname="s"\nplatforms=["b"]\nsimulated=true',
        ENTRY + ENTRY + '[[source]]\nslug="s"\nname="s"\nplatforms=["a"]\nsimulated=true',
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "platforms.toml"
    path.write_text(text)
    with pytest.raises(PlatformError):
        PlatformCatalogue.load(path)
