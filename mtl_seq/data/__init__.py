"""Logs: reading, validation, encoding and batches."""

from mtl_seq.data.csv.attribution import last_touch
from mtl_seq.data.csv.convert import Converted, Orphans, convert_csv, schema_file
from mtl_seq.data.csv.infer_schema import InferredSchema, infer_schema
from mtl_seq.data.csv.reader import CsvFiles
from mtl_seq.data.encode.codec import Codec
from mtl_seq.data.encode.fit_stream import SourceFit, fit_source
from mtl_seq.data.encode.settings import Encoding, Impute
from mtl_seq.data.loaders.batch import BatchLoader
from mtl_seq.data.loaders.ranking import ListLoader, PairLoader
from mtl_seq.data.loaders.stream import StreamLoader
from mtl_seq.data.parquet.frames import (
    read_frame,
    truth_from_frame,
    truth_of,
    truth_to_frame,
    write_frame,
)
from mtl_seq.data.parquet.map_parquet import map_parquet
from mtl_seq.data.parquet.source import Source
from mtl_seq.data.parquet.split import split_source
from mtl_seq.data.validate.leakage import LEAK_AUC, Leak, check_leaks, find_leaks

__all__ = [
    "LEAK_AUC",
    "BatchLoader",
    "Codec",
    "Converted",
    "CsvFiles",
    "Encoding",
    "Impute",
    "InferredSchema",
    "Leak",
    "ListLoader",
    "Orphans",
    "PairLoader",
    "Source",
    "SourceFit",
    "StreamLoader",
    "check_leaks",
    "convert_csv",
    "find_leaks",
    "fit_source",
    "infer_schema",
    "last_touch",
    "map_parquet",
    "read_frame",
    "schema_file",
    "split_source",
    "truth_from_frame",
    "truth_of",
    "truth_to_frame",
    "write_frame",
]


def __dir__() -> list[str]:
    return __all__
