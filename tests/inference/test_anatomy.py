"""Labels as departments write them, each with the part that is meant."""

import pytest
from pydicom import Dataset, Sequence

from inference.anatomy import SCOPES, judge, parts, tags_of
from inference.dicom import UnreadableFrame, open_dataset

LABELS = [
    # German
    ("HANDGELENK", "wrist"),
    ("Handgelenk li ap", "wrist"),
    ("Handgelenk rechts in 2 Ebenen", "wrist"),
    ("HANDGELENKSAUFNAHME", "wrist"),
    ("HG re 2 Eb.", "wrist"),
    ("HG", "wrist"),
    ("Handwurzel lat", "wrist"),
    ("HandGelenk", "wrist"),
    ("Hand-Gelenk", "wrist"),
    ("Hand_li_dp", "hand"),
    ("Hände bds", "hand"),
    ("HAENDE", "hand"),
    ("Mittelhand re", "hand"),
    ("Daumen links", "hand"),
    ("Zeigefinger re seitl", "hand"),
    ("UNTERARM", "forearm"),
    ("Unterarmschaft", "forearm"),
    ("UA li", "forearm"),
    ("Ellenbogen re", "elbow"),
    ("ELLBOGEN", "elbow"),
    ("Ellenbogengelenk ap/lat", "elbow"),
    ("Radiusköpfchen", "elbow"),
    # English
    ("WRIST", "wrist"),
    ("XR Wrist 3 Views Left", "wrist"),
    ("L WRIST", "wrist"),
    ("LWRIST", "wrist"),
    ("LeftWristPA", "wrist"),
    ("WRIST^ROUTINE", "wrist"),
    ("Scaphoid views", "wrist"),
    ("HAND", "hand"),
    ("Rt hand AP", "hand"),
    ("R_HAND_2V", "hand"),
    ("LHAND", "hand"),
    ("FINGER", "hand"),
    ("thumb", "hand"),
    ("FOREARM", "forearm"),
    ("Fore arm lat", "forearm"),
    ("Radius/Ulna", "forearm"),
    ("ELBOW", "elbow"),
    ("XR ELBOW MIN 3V", "elbow"),
    # French
    ("POIGNET", "wrist"),
    ("Poignet droit face + profil", "wrist"),
    ("Main gauche de face", "hand"),
    ("MAIN DROITE", "hand"),
    ("main", "hand"),
    ("Mains face", "hand"),
    ("Pouce D", "hand"),
    ("avant-bras", "forearm"),
    ("AVANT BRAS G", "forearm"),
    ("Coude profil", "elbow"),
    # Spanish, Portuguese, Italian
    ("MUÑECA", "wrist"),
    ("muneca izq", "wrist"),
    ("Radiografía de muñeca", "wrist"),
    ("mano dcha", "hand"),
    ("antebrazo", "forearm"),
    ("codo izquierdo", "elbow"),
    ("punho esq", "wrist"),
    ("mão direita", "hand"),
    ("antebraço", "forearm"),
    ("cotovelo", "elbow"),
    ("Polso sn", "wrist"),
    ("POLSI", "wrist"),
    ("avambraccio dx", "forearm"),
    ("gomito", "elbow"),
    # Dutch, Scandinavian
    ("pols links", "wrist"),
    ("Onderarm", "forearm"),
    ("elleboog re", "elbow"),
    ("Håndled", "wrist"),
    ("HÅNDLEDD", "wrist"),
    ("handled vänster", "wrist"),
    ("hånd", "hand"),
    ("underarm", "forearm"),
    ("Albue", "elbow"),
    ("armbåge", "elbow"),
    # Polish, Turkish, Russian, Greek
    ("nadgarstek lewy", "wrist"),
    ("nadgarstka", "wrist"),
    ("Ręka prawa", "hand"),
    ("dłoń", "hand"),
    ("przedramię", "forearm"),
    ("łokieć", "elbow"),
    ("El Bileği", "wrist"),
    ("EL BİLEĞİ AP", "wrist"),
    ("dirsek", "elbow"),
    ("ön kol", "forearm"),
    ("Лучезапястный сустав", "wrist"),
    ("запястье", "wrist"),
    ("Кисть правая", "hand"),
    ("предплечье", "forearm"),
    ("Локтевой сустав", "elbow"),
    ("καρπός", "wrist"),
    ("ΚΑΡΠΟΣ", "wrist"),
    ("Άκρα χείρα", "hand"),
    ("αντιβράχιο", "forearm"),
    ("αγκώνας", "elbow"),
    # Japanese, Chinese, Korean
    ("手関節", "wrist"),
    ("右手関節2方向", "wrist"),
    ("手首", "wrist"),
    ("腕关节正侧位", "wrist"),
    ("左手", "hand"),
    ("手部", "hand"),
    ("前腕", "forearm"),
    ("肘関節", "elbow"),
    ("손목", "wrist"),
    # Misspelt, cut, broken on the way
    ("WRSIT", "wrist"),
    ("wirst", "wrist"),
    ("Writs", "wrist"),
    ("WRISTT", "wrist"),
    ("Handgelnek", "wrist"),
    ("HANDGELEK RE", "wrist"),
    ("Hangdelenk", "wrist"),
    ("poigent", "wrist"),
    ("POINGET", "wrist"),
    ("muñceca", "wrist"),
    ("hnad", "hand"),
    ("foerarm", "forearm"),
    ("Unteram", "forearm"),
    ("Ellenboden", "elbow"),
    ("elobw", "elbow"),
    ("MuÃ±eca izquierda", "wrist"),
    ("HÃ¥ndled", "wrist"),
    ("MU\ufffdECA", "wrist"),
    ("MU?ECA", "wrist"),
    ("h\ufffdndled", "wrist"),
    ("H\ufffdnde", "hand"),
    # Elsewhere in the body
    ("HWS", "spine"),
    ("BWS seitl.", "spine"),
    ("CSPINE", "spine"),
    ("Lumbar spine", "spine"),
    ("KNEE", "knee"),
    ("Kniegelenk re", "knee"),
    ("genou droit", "knee"),
    ("SHOULDER", "shoulder"),
    ("Schultergelenk", "shoulder"),
    ("sholder", "shoulder"),
    ("Clavicula li", "shoulder"),
    ("Oberarm", "upper arm"),
    ("upper arm", "upper arm"),
    ("HUMERUS", "upper arm"),
    ("ANKLE", "ankle"),
    ("ankel", "ankle"),
    ("OSG re", "ankle"),
    ("Sprunggelenk", "ankle"),
    ("ayak bileği", "ankle"),
    ("足関節", "ankle"),
    ("Mittelfuß", "foot"),
    ("MITTELFUSS", "foot"),
    ("Foot AP", "foot"),
    ("dedo del pie", "foot"),
    ("Fußgelenk", "ankle"),
    ("chest", "chest"),
    ("THORAX PA", "chest"),
    ("Rx torace", "chest"),
    ("грудная клетка", "chest"),
    ("ABDOMEN", "abdomen"),
    ("Bauch", "abdomen"),
    ("waist", "abdomen"),
    ("Becken", "pelvis"),
    ("Hüfte", "hip"),
    ("Unterschenkel", "lower leg"),
    ("Tibia", "lower leg"),
    ("LOWER LEG", "lower leg"),
    ("SKULL", "head"),
    ("MAMMA", "breast"),
    # Of no part at all
    ("shand", None),
    ("forehand", None),
    ("below", None),
    ("MAIN CAMPUS", None),
    ("X-ray main", None),
    ("Main protocol v2", None),
    ("hand-held unit", None),
    ("C-ARM", None),
    ("corpus", None),
    ("angle", None),
    ("Côté droit", None),
    ("手術後", None),
    ("χειρουργείο", None),
    ("киста", None),
    ("EXTREMITY", None),
    ("UPPER EXTREMITY", None),
    ("bras", None),
    ("fist pump", None),
    ("", None),
    ("   ", None),
    ("12345", None),
    ("~~~ ###", None),
]


def test_there_are_enough_labels():
    assert len({text for text, _ in LABELS}) == len(LABELS) >= 180


@pytest.mark.parametrize(("text", "part"), LABELS)
def test_what_a_label_names(text, part):
    assert parts(text)[:1] == ((part,) if part else ())


@pytest.mark.parametrize(("text", "part"), LABELS)
def test_what_follows_for_reading(text, part):
    found = judge({"BodyPartExamined": text, "Modality": "DX"})
    assert found.ours == (part is None or part in SCOPES["upper_limb"])
    assert found.part == part
    assert bool(found.reason) == (not found.ours)
    if not found.ours:
        assert " ".join(text.split()) in found.reason


@pytest.mark.parametrize(
    ("tags", "ours"),
    [
        ({}, True),
        ({"Modality": "CR"}, True),
        ({"BodyPartExamined": "EXTREMITY", "StudyDescription": "ap lat"}, True),
        ({"BodyPartExamined": "CHEST", "SeriesDescription": "Wrist PA"}, True),
        ({"BodyPartExamined": "WRIST", "StudyDescription": "XR KNEE"}, True),
        ({"BodyPartExamined": "EXTREMITY", "StudyDescription": "Knie"}, False),
        ({"BodyPartExamined": "", "ProtocolName": "SHOULDER AP"}, False),
        ({"StudyDescription": "Hand / Fuß"}, True),
        ({"StudyDescription": "Sprunggelenk, Hand"}, True),
        ({"InstitutionName": "Knee and Shoulder Clinic"}, True),
        ({"AnatomicRegionSequence.0": "Wrist joint"}, True),
        ({"AnatomicRegionSequence.0": "Knee"}, False),
    ],
    ids=str,
)
def test_one_tag_that_says_ours_is_enough(tags, ours):
    assert judge(tags).ours == ours


@pytest.mark.parametrize("modality", ["CT", "MR", "US", "PT", "NM", "mg", " MR "])
def test_what_is_no_radiograph_is_not_read_whatever_the_part(modality):
    found = judge({"Modality": modality, "BodyPartExamined": "WRIST"})
    assert not found.ours and "radiograph" in found.reason


@pytest.mark.parametrize(
    "modality", ["CR", "DX", "DR", "RG", "RF", "XA", "OT", "SC", ""]
)
def test_every_kind_of_radiograph_is_read(modality):
    assert judge({"Modality": modality, "BodyPartExamined": "WRIST"}).ours


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("Handgelenk", True),
        ("HAND", False),
        ("Ellenbogen", False),
        ("", True),
        ("KNEE", False),
    ],
)
def test_the_scope_of_the_thesis_is_the_wrist_alone(text, ours):
    assert judge({"BodyPartExamined": text}, scope="wrist").ours == ours
    both = {"BodyPartExamined": text, "SeriesDescription": "distal radius"}
    assert judge(both, scope="wrist").ours


def test_the_reason_names_the_text_and_the_part():
    found = judge({"BodyPartExamined": "KNIE\nre   ap"})
    assert found.reason == "“KNIE re ap” names the knee, which is not read here."


@pytest.mark.parametrize(
    "text",
    ["wrist" * 5000, "\0\x1b[31m<script>alert(1)</script>", "\ud800", "\u202e" * 300],
    ids=["long", "escapes", "surrogate", "marks"],
)
def test_hostile_text_is_only_text(text):
    assert len(judge({"BodyPartExamined": text}).reason) < 200


def test_tags_are_taken_from_a_dataset_and_its_codes():
    code = Dataset()
    code.CodeMeaning = "Wrist joint"
    ds = Dataset()
    ds.Modality, ds.BodyPartExamined = "DX", "EXTREMITY"
    ds.PatientName = "Knee^Anna"
    ds.AnatomicRegionSequence = Sequence([code])
    assert tags_of(ds) == {
        "Modality": "DX",
        "BodyPartExamined": "EXTREMITY",
        "AnatomicRegionSequence.0": "Wrist joint",
    }
    assert judge(tags_of(ds)).part == "wrist"
    assert tags_of(Dataset()) == {}


def test_damaged_tags_say_nothing():
    ds = Dataset()
    ds.add_new("BodyPartExamined", "CS", ["WRIST", "KNEE"])
    ds.add_new("StudyDescription", "SQ", Sequence([Dataset()]))
    ds.add_new("AnatomicRegionSequence", "LO", "no sequence")
    assert judge(tags_of(ds)).ours


def test_the_samples_are_judged_by_their_words(sample_data):
    ours = {}
    for path in sorted((sample_data / "dicom").rglob("*")):
        try:
            tags = tags_of(open_dataset(path)) if path.is_file() else {}
        except UnreadableFrame:
            continue
        if tags.get("Modality") in {"CR", "DX"}:
            ours[tags.get("BodyPartExamined", "")] = judge(tags).ours
    assert ours == {
        "EXTREMITY": False,  # its description names the tibia
        "HIP": False,
        "THORAX": False,
        "CHEST": False,
        "CSPINE": False,
    }
