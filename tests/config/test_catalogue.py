"""The GPU catalogue as sources meet it: every spelling to one slug, nothing merged wrongly."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.catalogue import CatalogueError, GpuCatalogue, GpuModel
from config.gpu_names import MAX_LABEL, unknown_slug, vram_from_mb

SHARED = Path(os.environ.get("GPUSCOUT_SHARED") or Path(__file__).parents[3] / "shared")
CATALOGUE = GpuCatalogue.load()

# What the exporter calls its models, and where each belongs.
EXPORTER_NAMES = {
    "RTX 4090": "rtx-4090",
    "RTX 5090": "rtx-5090",
    "RTX 3090": "rtx-3090",
    "RTX 3060": "rtx-3060",
    "H200": "h200-sxm",
    "RTX 3070": "rtx-3070",
    "RTX 5060 Ti": "rtx-5060-ti",
    "H100 SXM": "h100-sxm",
    "RTX 3080": "rtx-3080",
    "A100 SXM4": "a100-sxm4",
    "RTX PRO 6000 S": "rtx-pro-6000-s",
    "RTX A4000": "rtx-a4000",
    "RTX 4060 Ti": "rtx-4060-ti",
    "RTX A5000": "rtx-a5000",
    "RTX PRO 6000 WS": "rtx-pro-6000-ws",
    "L40S": "l40s",
    "RTX 5080": "rtx-5080",
    "Tesla V100": "tesla-v100",
    "RTX 5070 Ti": "rtx-5070-ti",
    "RTX A2000": "rtx-a2000",
    "RTX A6000": "rtx-a6000",
    "RTX 2080 Ti": "rtx-2080-ti",
    "RTX 4070": "rtx-4070",
    "RTX 4070S Ti": "rtx-4070-ti-super",
    "A40": "a40",
    "RTX 3060 Ti": "rtx-3060-ti",
    "RTX 3080 Ti": "rtx-3080-ti",
    "RTX 5070": "rtx-5070",
    "RTX 4070S": "rtx-4070-super",
    "RTX 4070 Ti": "rtx-4070-ti",
    "RTX 6000Ada": "rtx-6000-ada",
    "RTX 4080S": "rtx-4080-super",
    "B200": "b200",
    "A100 PCIE": "a100-pcie",
    "H100 NVL": "h100-nvl",
    "H200 NVL": "h200-nvl",
    "GTX 1080": "gtx-1080",
    "RTX 2060S": "rtx-2060-super",
    "GTX 1660 S": "gtx-1660-super",
    "RTX 4080": "rtx-4080",
    "RTX 3090 Ti": "rtx-3090-ti",
    "GTX 1070": "gtx-1070",
    "RTX 4060": "rtx-4060",
    "RTX 2060": "rtx-2060",
    "Titan Xp": "titan-xp",
    "RTX 3070 laptop": "rtx-3070-laptop",
    "RTX 5880Ada": "rtx-5880-ada",
    "Quadro P4000": "quadro-p4000",
    "Tesla T4": "tesla-t4",
    "RTX 3060 laptop": "rtx-3060-laptop",
    "Q RTX 8000": "quadro-rtx-8000",
    "Tesla P4": "tesla-p4",
    "GTX 1070 Ti": "gtx-1070-ti",
    "GTX 1080 Ti": "gtx-1080-ti",
    "L40": "l40",
    "Q RTX 6000": "quadro-rtx-6000",
    "A10": "a10",
    "RTX 3070 Ti": "rtx-3070-ti",
    "GTX TITAN X": "gtx-titan-x",
    "GTX 1060": "gtx-1060",
    "GTX 1660 Ti": "gtx-1660-ti",
    "RTX 2070S": "rtx-2070-super",
    "Tesla P40": "tesla-p40",
    "Tesla P100": "tesla-p100-16gb",
    "RTX 5060": "rtx-5060",
    "RTX 5000Ada": "rtx-5000-ada",
    "L4": "l4",
    "Titan V": "titan-v",
    "RTX PRO 4000": "rtx-pro-4000",
    "RTX 2070": "rtx-2070",
    "RTX 4090D": "rtx-4090-d",
    "A100X": "a100x",
    "GTX 1660": "gtx-1660",
    "H100 PCIE": "h100-pcie",
    "RTX 4500Ada": "rtx-4500-ada",
    "GTX 1050 Ti": "gtx-1050-ti",
    "RTX A4500": "rtx-a4500",
    "RTX 4000Ada": "rtx-4000-ada",
    "A800 PCIE": "a800-pcie",
    "RTX PRO 4500": "rtx-pro-4500",
    "Q RTX 4000": "quadro-rtx-4000",
    "RTX 2080S": "rtx-2080-super",
    "Quadro K2200": "quadro-k2200",
    "GTX 1650": "gtx-1650",
    "RTX 2080": "rtx-2080",
    "GTX 1050": "gtx-1050",
    "RTX 3050": "rtx-3050",
    "InstinctMI50": "mi50",
}


def shared(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.is_file():
        pytest.skip(f"recorded data {name} is not on this machine")
    return path


def test_every_exporter_name_has_its_own_slug() -> None:
    assert len(EXPORTER_NAMES) == len(set(EXPORTER_NAMES.values())) == 88
    for name, slug in EXPORTER_NAMES.items():
        found = CATALOGUE.resolve(name)
        assert (found.slug, found.known, found.variant) == (slug, True, False), name


def test_the_recorded_answer_holds_no_other_name() -> None:
    models = json.loads(shared("500farm_gpu_stats_2025-12-07.json").read_text())["models"]
    assert {model["name"] for model in models} == set(EXPORTER_NAMES)


def test_every_compiled_model_and_alias_leads_to_it_or_to_a_family_of_it() -> None:
    with shared("gpu_models.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 114
    for row in rows:
        model = CATALOGUE.resolve(row["canonical"]).model
        assert model is not None and not model.is_family, row["canonical"]
        assert model.vram_gb == int(row["vram_gb"])
        assert model.architecture == row["architecture"]
        assert model.tdp_w == (int(row["tdp_w"]) if row["tdp_w"] else None)
        for alias in row["aliases"].split("|"):
            meant = CATALOGUE.resolve(alias).model
            assert meant is not None, alias
            assert meant is model or model.slug in meant.members, (alias, meant.slug)


@pytest.mark.parametrize(
    ("name", "vram", "slug"),
    [
        # VRAM decides between the models of an ambiguous spelling, and only then.
        ("A100 SXM4", None, "a100-sxm4"),
        ("A100_SXM4", 40, "a100-sxm4-40gb"),
        ("A100 SXM", 79.6, "a100-sxm4-80gb"),
        ("A100 PCIe", 80, "a100-pcie-80gb"),
        ("A100_PCIE", None, "a100-pcie"),
        ("Tesla V100", 31.7, "tesla-v100-32gb"),
        ("V100-32GB", None, "tesla-v100-32gb"),
        # Bare names leave the form factor open even when the size is known.
        ("H100", None, "h100"),
        ("NVIDIA H100", 80, "h100"),
        ("A100", None, "a100"),
        ("A100", 80, "a100-80gb"),
        ("A100-80GB", None, "a100-80gb"),
        ("H100 (form factor unstated)", None, "h100"),
        # Vendor words, counts, provider styles.
        ("NVIDIA GeForce RTX 4090", None, "rtx-4090"),
        ("geforcertx4090-pcie-24gb", None, "rtx-4090"),
        ("RTX 4090 (24 GB)", None, "rtx-4090"),
        ("gpu_8x_h100_sxm5", None, "h100-sxm"),
        ("gpu_1x_a100", None, "a100-pcie-40gb"),
        ("gpu_8x_a100", None, "a100-sxm4-40gb"),
        ("8x RTX 4090", None, "rtx-4090"),
        ("NVIDIA A100-SXM4-80GB", None, "a100-sxm4-80gb"),
        ("NVIDIA H100 80GB HBM3", None, "h100-sxm"),
        ("NVIDIA GH200 480GB", None, "gh200"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", None, "rtx-pro-6000-max-q"),
        ("ＲＴＸ　４０９０", None, "rtx-4090"),
        # Never a part of another name.
        ("RTX 6000", None, "quadro-rtx-6000"),
        ("RTX 6000 Ada Generation", None, "rtx-6000-ada"),
        ("L4", None, "l4"),
        ("L40", None, "l40"),
        ("L40S", None, "l40s"),
        ("GB200", None, "gb200"),
        ("RTX 4070 Ti SUPER", None, "rtx-4070-ti-super"),
        # A size it was not sold with is a series of its own.
        ("RTX 4090", 47.99, "rtx-4090-48gb"),
        ("RTX 4090 48GB", None, "rtx-4090-48gb"),
        ("RTX 3080", 20, "rtx-3080-20gb"),
        ("RTX 2080 Ti", 22, "rtx-2080-ti-22gb"),
        ("Tesla P100", 12, "tesla-p100-12gb"),
        ("A100-SXM4-64GB", None, "a100-sxm4-64gb"),
        # What the source measured outranks the name; what cannot be a size is ignored.
        ("RTX 4090 24GB", 48, "rtx-4090-48gb"),
        ("RTX 4090", float("nan"), "rtx-4090"),
        ("RTX 4090", -24, "rtx-4090"),
        ("RTX 4090", 1e9, "rtx-4090"),
    ],
)
def test_a_spelling_resolves(name: str, vram: float | None, slug: str) -> None:
    assert CATALOGUE.resolve(name, vram).slug == slug


@pytest.mark.parametrize(
    ("megabytes", "gigabytes"),
    [(24564, 24), (143771, 141), (183359, 180), (32607, 32), (15360, 16), (46068, 48), (49140, 48), (11264, 11)],
)
def test_driver_sizes_become_marketed_ones(megabytes: int, gigabytes: int) -> None:
    assert vram_from_mb(megabytes) == gigabytes


def test_families_say_what_they_leave_open_and_never_equal_a_member() -> None:
    families = [model for model in CATALOGUE.models if model.is_family]
    assert {family.slug for family in families} >= {"a100", "h100", "a100-sxm4", "a100-pcie", "tesla-v100"}
    for family in families:
        assert family.unstated and family.unstated in family.label
        assert family.slug not in family.members
        assert all(CATALOGUE.get(member) for member in family.members)
    assert CATALOGUE.resolve("A100 SXM4").cleaned_name == "A100 SXM4"


def test_a_variant_can_be_had_again_by_its_slug() -> None:
    found = CATALOGUE.resolve("RTX 4090", 48)
    assert found.variant and found.model is not None
    assert (found.model.name, found.model.vram_gb, found.model.variant_of) == ("RTX 4090 48GB", 48, "rtx-4090")
    assert CATALOGUE.get("rtx-4090-48gb") == found.model
    assert CATALOGUE.get("rtx-4090-24gb") is None, "the sold size is not a variant"
    assert CATALOGUE.get("x-rtx-9090") is None
    assert CATALOGUE.get("rtx-4090-0gb") is None


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("<@123456> **RTX 9999** @everyone", "RTX 9999"),
        ("[RTX 9999](https://evil.example/x)", "RTX 9999"),
        ("RTX 9999\x00\x1b[31m\u202e", "RTX 9999"),
        ("`RTX` ||9999|| <script>alert</script>", "RTX 9999 alert"),
        ("discord.gg/abc", "discord gg abc"),
        ("", "Unnamed GPU"),
        ("\u200b\u200b", "Unnamed GPU"),
    ],
)
def test_an_unknown_name_is_plain_text(hostile: str, shown: str) -> None:
    found = CATALOGUE.resolve(hostile)
    assert (found.known, found.model, found.cleaned_name) == (False, None, shown)
    assert found.slug.startswith("x-") and "--" in found.slug, "cleaning lost something, so a digest is due"


def test_unknown_names_share_a_slug_only_for_case_and_separators() -> None:
    assert unknown_slug("RTX 9999") == unknown_slug("rtx_9999") == unknown_slug("RTX-9999") == "x-rtx-9999"
    names = [
        "RTX 9999",
        "RTX 9999!",
        "RTX 9999*",
        "RTX 9999 Ω",
        "RTX 9999 é",
        "RTX.9999",
        "RTX9999",
        "A" * 80,
        "A" * 81,
    ]
    assert len({unknown_slug(name) for name in names}) == len(names)


@settings(deadline=None)
@given(st.text(max_size=300), st.one_of(st.none(), st.floats()))
def test_any_text_resolves_to_something_safe(name: str, vram: float | None) -> None:
    found = CATALOGUE.resolve(name, vram)
    assert 1 <= len(found.cleaned_name) <= MAX_LABEL
    assert found.cleaned_name.strip() == found.cleaned_name
    assert 1 <= len(found.slug) <= MAX_LABEL
    assert set(found.slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not set(found.cleaned_name) & set("<>@#*_~`|[]\\/:\n\r\t")
    if found.known:
        assert CATALOGUE.get(found.slug) == found.model
        assert CATALOGUE.resolve(found.slug).slug == found.slug
    else:
        assert CATALOGUE.resolve(name, vram) == found


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_no_two_unknown_names_collide(left: str, right: str) -> None:
    def plain(text: str) -> str:
        return "-".join(text.casefold().replace("_", " ").replace("-", " ").split(" ")).strip("-")

    if unknown_slug(left) == unknown_slug(right):
        assert [p for p in plain(left).split("-") if p] == [p for p in plain(right).split("-") if p]


def model(slug: str, *, popularity: int | None = None, aliases: tuple[str, ...] = ()) -> GpuModel:
    return GpuModel(slug, slug.upper(), 8, "Test", None, aliases=aliases, popularity=popularity)


@pytest.mark.parametrize(
    "models",
    [
        [model("one"), model("one")],
        [model("one", aliases=("Card X",)), model("two", aliases=("card_x",))],
        [model("one", popularity=1), model("two", popularity=1)],
    ],
)
def test_a_contradictory_catalogue_is_refused(models: list[GpuModel]) -> None:
    with pytest.raises(CatalogueError):
        GpuCatalogue(models)


@pytest.mark.parametrize(
    "text",
    [
        "gpu = [",
        "family = []",
        'gpu = [{ slug = "a" }]\nfamily = []',
        'gpu = [{ slug = "a", name = "A", vram_gb = -1, architecture = "X" }]\nfamily = []',
        'gpu = [{ slug = "a", name = "A", vram_gb = 1, architecture = "X", colour = 1 }]\nfamily = []',
        'gpu = []\nfamily = [{ slug = "a", name = "A", architecture = "X", unstated = "?", members = ["b"] }]',
    ],
)
def test_a_broken_file_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gpus.toml"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=r"."):
        GpuCatalogue.load(path)
