"""UCI Census-Income (KDD) to train.parquet, test.parquet and schema.json.

    python datasets/census-income/convert.py RAW OUT [--variant nominal] [--without-household]

RAW holds census-income.test and, for the variant `full`, census-income.data, plain or gzipped; for
the variant `nominal`, train_nominal_reconstructed.parquet will do. Two tasks that are no funnel:
see CARD.md for what that means, and for what is dropped.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from mtl_seq import Schema
from mtl_seq.data import write_frame
from mtl_seq.errors import ArtifactError

# The order of the raw columns, which have no header.
COLUMNS = [
    *("age", "class_worker", "det_ind_code", "det_occ_code", "education", "wage_per_hour"),
    *("hs_college", "marital_stat", "major_ind_code", "major_occ_code", "race", "hisp_origin"),
    *("sex", "union_member", "unemp_reason", "full_or_part_emp", "capital_gains"),
    *("capital_losses", "stock_dividends", "tax_filer_stat", "region_prev_res"),
    *("state_prev_res", "det_hh_fam_stat", "det_hh_summ", "instance_weight", "mig_chg_msa"),
    *("mig_chg_reg", "mig_move_reg", "mig_same", "mig_prev_sunbelt", "num_emp", "fam_under_18"),
    *("country_father", "country_mother", "country_self", "citizenship", "own_or_self"),
    *("vet_question", "vet_benefits", "weeks_worked", "year", "income_50k"),
]
NUMBERS = [
    *("age", "wage_per_hour", "capital_gains", "capital_losses", "stock_dividends"),
    *("num_emp", "weeks_worked"),
]
LABELS = {"income": ("income_50k", "50000+"), "never_married": ("marital_stat", "Never-married")}
WEIGHT = "instance_weight"
# Their values state the marital status; see CARD.md.
HOUSEHOLD = ["det_hh_fam_stat", "det_hh_summ", "tax_filer_stat"]
NOMINAL = [c for c in COLUMNS if c not in (*NUMBERS, WEIGHT, "marital_stat", "income_50k")]
VARIANTS = {"nominal": [], "full": NUMBERS}


def main(arguments: list[str] | None = None) -> int:
    """Run the conversion; return 0, or 2 for an invalid input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder with the original files")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--variant",
        choices=VARIANTS,
        help="full: with the numeric features; default: full where census-income.data is there",
    )
    parser.add_argument(
        "--without-household", action="store_true", help="drop what speaks of marriage"
    )
    given = parser.parse_args(arguments)
    try:
        train = _find(given.raw, "census-income.data")
        variant = given.variant or ("nominal" if train is None else "full")
        dropped = HOUSEHOLD if given.without_household else []
        write(*convert(given.raw, variant, dropped), given.out)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(
    raw: Path, variant: str, dropped: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame, Schema]:
    """Read the raw folder: train part, test part, and the roles of their columns."""
    ids = [column for column in NOMINAL if column not in dropped]
    dense = VARIANTS[variant]
    parts = [_labelled(part, ids, dense) for part in (_train(raw, variant), _test(raw))]
    print(f"{len(ids):>9,} nominal and {len(dense)} numeric features, variant {variant}")
    schema = Schema(labels={"income": "income"}, ids=ids, dense=dense)
    return parts[0], parts[1], schema


def write(train: pd.DataFrame, test: pd.DataFrame, schema: Schema, out: Path) -> None:
    """Write the parts and the schema, and report their rows."""
    for name, part in {"train": train, "test": test}.items():
        write_frame(part, out / f"{name}.parquet")
        rates = ", ".join(f"{label} {part[label].mean():.4f}" for label in LABELS)
        print(f"{len(part):>9,} rows in {name}.parquet: {rates}")
    schema.to_json(out / "schema.json")


def _train(raw: Path, variant: str) -> pd.DataFrame:
    path = _find(raw, "census-income.data")
    if path is not None:
        return _read(path)
    reconstructed = raw / "train_nominal_reconstructed.parquet"
    if variant == "full":
        raise ArtifactError(f"the variant full needs census-income.data or .data.gz in {raw}")
    if not reconstructed.is_file():
        raise ArtifactError(
            f"no file census-income.data, census-income.data.gz or {reconstructed.name} in {raw}"
        )
    return pd.read_parquet(reconstructed).astype(str)


def _test(raw: Path) -> pd.DataFrame:
    path = _find(raw, "census-income.test")
    if path is None:
        raise ArtifactError(f"no file census-income.test or census-income.test.gz in {raw}")
    return _read(path)


def _find(raw: Path, name: str) -> Path | None:
    found = [path for path in (raw / name, raw / f"{name}.gz") if path.is_file()]
    return found[0] if found else None


def _read(path: Path) -> pd.DataFrame:
    # "?" and "NA" are ordinary values here.
    frame = pd.read_csv(path, header=None, dtype=str, skipinitialspace=True, keep_default_na=False)
    if frame.shape[1] != len(COLUMNS):
        raise ArtifactError(
            f"{path} must have {len(COLUMNS)} columns, found {frame.shape[1]}: it is another file"
        )
    return frame.set_axis(COLUMNS, axis=1)


def _labelled(frame: pd.DataFrame, ids: list[str], dense: list[str]) -> pd.DataFrame:
    made = {column: _respelt(frame[column]) for column in ids}
    made |= {column: frame[column].astype(float) for column in dense}
    for label, (column, value) in LABELS.items():
        made[label] = (_respelt(frame[column]) == value).astype("int64")
    return pd.DataFrame(made)


def _respelt(column: pd.Series) -> pd.Series:
    return column.map({value: _spelt(value) for value in column.unique()})


def _spelt(value: str) -> str:
    """One spelling for both parts: the reconstructed one has hyphens where the original has not.

    >>> _spelt("Native- Born in the United States"), _spelt(" 50000+.")
    ('Native-Born-in-the-United-States', '50000+')
    """
    return re.sub(r"[^\w<>?+/]+", "-", value).strip("-")


if __name__ == "__main__":
    sys.exit(main())
