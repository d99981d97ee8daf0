"""Logs to batches."""

from mtl_seq.data.checks import (
    check_columns,
    check_dense,
    check_labels,
    check_population,
    check_row_values,
)
from mtl_seq.data.codec import Codec
from mtl_seq.data.compared import ListLoader, PairLoader
from mtl_seq.data.convert import Converted, Orphans, convert_csv, schema_file
from mtl_seq.data.csv_files import CsvFiles
from mtl_seq.data.encoding import Encoding, Impute
from mtl_seq.data.extending import extended, fold_tables, moved_rows
from mtl_seq.data.fitting import SourceFit, fit_source
from mtl_seq.data.frames import (
    read_frame,
    truth_from_frame,
    truth_of,
    truth_to_frame,
    write_frame,
)
from mtl_seq.data.guess import Guess, guess_schema
from mtl_seq.data.last_touch import last_touch
from mtl_seq.data.leaks import LEAK_AUC, Leak, check_leaks, find_leaks
from mtl_seq.data.loader import BatchLoader
from mtl_seq.data.map_parquet import map_parquet
from mtl_seq.data.source import Source
from mtl_seq.data.splitting import split_source
from mtl_seq.data.stream import StreamLoader
from mtl_seq.data.vocabulary import AnyVocabulary, HashedVocabulary, Vocabulary

__all__ = [
    "LEAK_AUC",
    "AnyVocabulary",
    "BatchLoader",
    "Codec",
    "Converted",
    "CsvFiles",
    "Encoding",
    "Guess",
    "HashedVocabulary",
    "Impute",
    "Leak",
    "ListLoader",
    "Orphans",
    "PairLoader",
    "Source",
    "SourceFit",
    "StreamLoader",
    "Vocabulary",
    "check_columns",
    "check_dense",
    "check_labels",
    "check_leaks",
    "check_population",
    "check_row_values",
    "convert_csv",
    "extended",
    "find_leaks",
    "fit_source",
    "fold_tables",
    "guess_schema",
    "last_touch",
    "map_parquet",
    "moved_rows",
    "read_frame",
    "schema_file",
    "split_source",
    "truth_from_frame",
    "truth_of",
    "truth_to_frame",
    "write_frame",
]
