"""What became of every file of a build: counted, and said in words."""

from collections import Counter
from collections.abc import Mapping, Sequence

from search.alike import shared
from search.table import Table
from search.transform import Made

Left = tuple[str, str]  # a path below the source, and a code of WHY
WHY = {
    "not_dicom": "neither DICOM nor a picture, or the header is damaged",
    "truncated": "the file ends early; filled up, it would teach the filling",
    "no_pixels": "the object carries no pixels",
    "not_an_image": "a report, a segmentation or another object that is no image",
    "multi_frame": "several frames",
    "colour": "a coloured picture",
    "undecodable": "the pixels cannot be decoded",
    "too_large": "too many pixels or bytes",
    "blank": "every pixel is the same",
    "not_a_radiograph": "CT, MR, ultrasound or another kind of image",
    "other_part": "the header names a part of the body that was not asked for",
    "burned_in": "the header says that text is burned into the pixels",
    "duplicate": "the same instance once more",
    "two_patients": "the study names another patient than its first image",
    "no_patient": "neither header nor table says whose it is: the same person might "
    "be on two sides",
    "no_row": "a picture of which the table says nothing",
    "cannot_list": "a folder that cannot be listed: what it holds is not counted",
    "link": "a link to a file or a folder: what it leads to is not looked at",
    "unforeseen": "an error that nobody foresaw, of this class",
    "hidden": "hidden: its name or its folder's begins with a dot",
}
LISTED = 20  # lines of the table that a report names


def dropped(made: Sequence[Made], left: Sequence[Left]) -> list[Left]:
    return sorted([*left, *(pair for m in made for pair in m.dropped)])


def counted(
    rows: Sequence[Mapping[str, str]],
    made: Sequence[Made],
    left: Sequence[Left],
    table: Table,
) -> dict[str, object]:
    """The report. rows: of every image that was taken. left: was not looked at."""
    codes = Counter(code for _, code in dropped(made, left))
    known = set(table.lines.values())
    idle = sorted(known - {line for m in made for line in m.lines})
    labels = Counter(row["label"] for row in rows)
    return {
        "files": len(rows) + codes.total(),
        "images": len(rows),
        "studies": len({row["study"] for row in rows}),
        "patients": len({row["patient"] for row in rows}),
        "fractured": labels["1"],
        "not_fractured": labels["0"],
        "without_label": labels[""],
        "table": {"rows": len(known), "idle": len(idle), "lines": idle[:LISTED]},
        "shared_pixels": shared(rows, made),
        "dropped": {
            code: {"files": number, "why": WHY[code.split()[0]]}
            for code, number in codes.most_common()
        },
    }


def in_words(report: dict) -> str:
    lines = [
        "{images} images of {studies} studies and {patients} patients: {fractured} "
        "fractured, {not_fractured} not, {without_label} without a label.".format(
            **report
        ),
        f"{report['files'] - report['images']} of {report['files']} files dropped.",
    ]
    lines += [
        f"  {found['files']} {code}: {found['why']}"
        for code, found in report["dropped"].items()
    ]
    if shared := report.get("shared_pixels"):
        lines.append(
            f"{shared} images have the pixels of another patient's: one person "
            "under two IDs, perhaps."
        )
    if (table := report["table"])["idle"]:
        named = ", ".join(map(str, table["lines"]))
        more = ", …" if table["idle"] > len(table["lines"]) else ""
        lines.append(
            f"{table['idle']} of {table['rows']} rows of the table say nothing of an "
            f"image that was taken: line {named}{more}."
        )
    return "\n".join(lines) + "\n"
