import csv

import pytest

from ilsegkit.data.catalog import LOADERS
from ilsegkit.data.manifest import entry_of, load_manifest, parse_listing, relative_path
from ilsegkit.errors import DataError

ENTRY = """
squares:
  title: Squares
  kind: small
  role: tests
  homepage: https://example.org
  licence: CC0
  terms: none
  citation: nobody
  by_hand: Draw them.
"""
FILE = """
  files:
    - path: squares.zip
      url: https://example.org/squares.zip
      hash: null
      bytes: 10
"""


def written(tmp_path, text):
    path = tmp_path / "data_manifest.yaml"
    path.write_text(text)
    return path


def test_the_bundled_one_has_what_the_paper_needs():
    manifest = load_manifest()
    paper = "voc2012 sbd grabcut berkeley davis2016 coco-val2014 coco-val2017 youtube-vos-2019 drions-db rooftop ade20k"
    small = "grabcut-20 davis2016-val-10pct coco-val-100 aerial-buildings-130 nuclei-60 fundus-disc-101"
    assert [name for name, entry in manifest.items() if entry.kind == "paper"] == paper.split()
    assert [name for name, entry in manifest.items() if entry.kind == "small"] == small.split()
    assert [name for name, entry in manifest.items() if entry.kind == "weights"] == ["efficientnet-lite0", "xception65"]


def test_loaders_are_those_there_are():
    for entry in load_manifest().values():
        assert (entry.loader in LOADERS) == (entry.kind != "weights"), entry.id


def test_where_no_hash_is_known():
    unknown = {entry.id for entry in load_manifest().values() if not entry.files or any(f.hash is None for f in entry.files)}
    assert unknown == {"grabcut", "berkeley", "youtube-vos-2019", "drions-db", "rooftop", "xception65"}
    assert all(entry.by_hand for entry in load_manifest().values() if entry.id in unknown)


def test_small_sets_are_those_of_the_sources(shared_data):
    manifest = load_manifest()
    with (shared_data / "mirror" / "sources.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    expected = {(r["dataset"], r["path"], f"sha256:{r['sha256']}", int(r["bytes"]), r["url"]) for r in rows}
    small = [entry for entry in manifest.values() if entry.kind == "small"]
    assert {(e.id, f.path, f.hash, f.bytes, f.url) for e in small for f in e.files} == expected


def test_reads_a_manifest(tmp_path):
    manifest = load_manifest(written(tmp_path, ENTRY + FILE))
    assert manifest["squares"].files[0].size == 10
    assert manifest["squares"].bytes == 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ENTRY + "  colour: red\n", r"entry 'squares', field 'colour': there is no such field"),
        (ENTRY.replace("  licence: CC0\n", ""), r"entry 'squares', field 'licence': it is missing"),
        (ENTRY.replace("small", "tiny"), r"entry 'squares', field 'kind': .*'paper', 'small' or 'weights'.*tiny"),
        (ENTRY + FILE + "      unpack: lzh\n", r"entry 'squares', field 'files.0.unpack'"),
        (ENTRY + FILE + "      size: 3\n", r"field 'files.0.size': there is no such field"),
        (ENTRY + FILE.replace("null", "md5:12"), r"field 'files.0.hash'.*md5:12"),
        (ENTRY + FILE.replace("      hash: null\n", ""), r"field 'files.0.hash': it is missing"),
        (
            ENTRY + FILE.replace("squares.zip\n", "../squares.zip\n", 1),
            r"field 'files.0.path'.*a place inside",
        ),
        (ENTRY + FILE.replace("https:", "ftp:"), r"field 'files.0.url'"),
        (ENTRY + FILE.replace("10", '"10"'), r"field 'files.0.bytes'"),
        (ENTRY + FILE + FILE.split("files:")[1], r"two files have the same path"),
        (ENTRY.replace("  by_hand: Draw them.\n", ""), r"what has no url needs 'by_hand'"),
        (ENTRY + "  requires: [circles]\n", r"field 'requires': there is no entry 'circles'"),
        (ENTRY + "  title: Circles\n", r"'title' stands twice"),
        (ENTRY + ENTRY, r"'squares' stands twice"),
        (ENTRY + "  listings:\n    - url: https://a.org/\n      files: nonsense\n", r"'nonsense' is not a line of sha256"),
        ("- squares", r"must map the id of each entry to its fields"),
        ("squares: {", r"cannot be read"),
    ],
)
def test_mistakes_name_entry_and_field(tmp_path, text, told):
    with pytest.raises(DataError, match=told):
        load_manifest(written(tmp_path, text))


def test_a_missing_manifest(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.yaml"):
        load_manifest(tmp_path / "nothing.yaml")


def test_listings_become_files(tmp_path):
    digest = "ab" * 32
    listing = f"""
  listings:
    - url: https://a.org/x/
      mirrors: [https://b.org/]
      files: |
        {digest} 7 d/e f.png
"""
    [file] = load_manifest(written(tmp_path, ENTRY + listing))["squares"].files
    assert (file.path, file.url, file.mirrors) == ("d/e f.png", "https://a.org/x/d/e%20f.png", ["https://b.org/d/e%20f.png"])
    assert (file.hash, file.bytes) == (f"sha256:{digest}", 7)


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/a", "C:/a", "C:a", "\\a", "..\\a", ""])
def test_paths_that_lead_out(path):
    with pytest.raises(ValueError, match="inside"):
        relative_path(path)
    with pytest.raises(ValueError, match="line"):
        parse_listing(f"{'0' * 64} 1 {path}")


def test_unknown_entry():
    with pytest.raises(DataError, match=r"'pascal'; choose one of voc2012, sbd"):
        entry_of("pascal")
