"""Who is in a data set: age, sex, side, view and the like, and what is not known.

Any table becomes rows of the same few attributes (`rows_of`), and any rows a summary
(`summary`): for each attribute how many images are known and missing, and for each of
its groups images, patients and the balance of the labels. No torch.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from search import dataset, traits
from search.example import rows
from search.studies import PARTS, VIEWS, fracatlas, studies
from search.table import columns
from search.traits import AGES, ATTRIBUTES

Row = Mapping[str, str]

PAGE, NUMBERS = "demographics.html", "demographics.json"  # of `demographics_page`
GRAZPEDWRI = (
    "filestem", "patient_id", "study_number", "fracture_visible", "age", "gender",
    "laterality", "projection", "device_manufacturer", "cast", "metal",
)  # fmt: skip
MOST = 12  # groups of an attribute; the rest is told as one
REST, MISSING = "all others", "missing"
PROJECTIONS = {"1": "frontal", "2": "lateral", "3": "oblique"}


def rows_of(source: Path) -> list[Row]:
    """The images of a folder or of a table, each with ATTRIBUTES and label, patient,
    study.

    Read are a built data set, a folder with `examples.csv`, FracAtlas, and the
    metadata of GRAZPEDWRI-DX. ValueError where none of them is found.
    """
    if source.is_file():
        return _metadata(source)
    if (source / dataset.STUDIES).is_dir():
        return list(dataset.all_rows(source))
    if (source / "split_info.csv").exists():
        return _fracatlas(source)
    for name in dataset.EXAMPLES, "dataset.csv":
        if (source / name).exists():
            return _metadata(source / name)
    raise ValueError(f"{source} holds no table that is known here.")


def summary(found: Iterable[Row]) -> dict[str, object]:
    """What a model card tells of these images."""
    found = list(found)
    return {
        **_counted(found),
        "studies": len({row.get("study") for row in found} - {None, ""}),
        "attributes": {name: _attribute(name, found) for name in ATTRIBUTES},
    }


def _metadata(path: Path) -> list[Row]:
    if GRAZPEDWRI[0] in columns(path):
        return [_grazpedwri(row) for row in rows(path, *GRAZPEDWRI)]
    return list(rows(path, "image"))


def _grazpedwri(row: Row) -> Row:
    """Nagy et al. 2022, doi:10.1038/s41597-022-01328-z. Only presences are marked."""
    return {
        "image": row["filestem"],
        "patient": row["patient_id"],
        "study": f"{row['patient_id']}/{row['study_number']}",
        "label": row["fracture_visible"] or "0",
        "age": row["age"],
        "sex": row["gender"],
        "side": row["laterality"],
        "view": PROJECTIONS.get(row["projection"], ""),
        "part": "wrist",
        "maker": row["device_manufacturer"],
        "cast": row["cast"] or "0",
        "metal": row["metal"] or "0",
    }


def _fracatlas(folder: Path) -> list[Row]:
    """Neither age nor sex nor side was published; a patient is a block."""
    split_info = fracatlas(folder)
    study = studies(split_info)
    return [
        {
            "image": row["image_id"],
            "study": study[row["image_id"]],
            "patient": row["block"],
            "label": row["fractured_folder"],
            "view": " and ".join(view for view in VIEWS if row[view] == "1"),
            "part": " and ".join(part for part in PARTS if row[part] == "1"),
            "metal": row["hardware"],
        }
        for row in split_info
        if row["truncated"] == "0" and row["dup_flag"] != "crosslabel_dup"
    ]


def _attribute(name: str, found: list[Row]) -> dict[str, object]:
    groups = defaultdict(list)
    for row in found:
        groups[_group(name, row)].append(row)
    missing = groups.pop(MISSING, [])
    told: dict[str, object] = {
        "known": len(found) - len(missing),
        "missing": len(missing),
        "groups": [
            {"group": group, **_counted(members)}
            for group, members in _ordered(name, groups)
        ],
    }
    if missing:
        told["of_the_missing"] = _counted(missing)
    if name == "age" and told["known"]:
        told["years"] = _years([_age(row) for row in found])
    return told


def _group(name: str, row: Row) -> str:
    return traits.group(name, row.get(name)) or MISSING


def _age(row: Row) -> float | None:
    return traits.age(row.get("age") or "")


def _ordered(name: str, groups: Mapping[str, list[Row]]) -> list[tuple[str, list[Row]]]:
    """Ages in their order, others by size, and the smallest as one."""
    if name == "age":
        return [(group, groups[group]) for _, group in AGES if group in groups]
    found = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    rest = [row for _, members in found[MOST:] for row in members]
    return found[:MOST] + ([(REST, rest)] if rest else [])


def _counted(found: list[Row]) -> dict[str, int]:
    labels = Counter(row.get("label") or "" for row in found)
    return {
        "images": len(found),
        "patients": len({row.get("patient") for row in found} - {None, ""}),
        "fractured": labels["1"],
        "not_fractured": labels["0"],
        "without_label": len(found) - labels["1"] - labels["0"],
    }


def _years(ages: Iterable[float | None]) -> dict[str, float]:
    known = sorted(age for age in ages if age is not None)
    quartiles = (
        statistics.quantiles(known, n=4, method="inclusive")
        if len(known) > 1
        else known * 3
    )
    names = ("lower_quartile", "median", "upper_quartile")
    return {
        "youngest": known[0],
        **{n: round(q, 2) for n, q in zip(names, quartiles, strict=True)},
        "oldest": known[-1],
        "mean": round(statistics.fmean(known), 2),
    }
