"""A generated log in KuaiRand-Pure's original layout, to try the converter without the real one.

    python datasets/kuairand-pure/sample.py RAW

Nothing in it comes from the real data but the names of the columns. It has the real log's faults:
repeated impressions, long views without a click, and a user and a video without features.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, USERS, VIDEOS = 4000, 120, 80
REPEATS, UNCLICKED_LONG_VIEWS = 30, 12
DAYS = pd.date_range("2022-04-25", "2022-04-30")


def write_sample(raw: Path, seed: int = 0) -> None:
    """Write the three files."""
    rng = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    _log(rng).to_csv(raw / "log_standard_4_22_to_5_08_pure.csv", index=False)
    _users(rng).to_csv(raw / "user_features_pure.csv", index=False)
    _videos(rng).to_csv(raw / "video_features_basic_pure.csv", index=False)


def _log(rng: np.random.Generator) -> pd.DataFrame:
    user, video = rng.integers(USERS, size=ROWS), rng.integers(VIDEOS, size=ROWS)
    liking = rng.standard_normal(USERS)[user] + rng.standard_normal(VIDEOS)[video]
    click = rng.random(ROWS) < 1 / (1 + np.exp(0.3 - liking))
    long_view = click & (rng.random(ROWS) < 1 / (1 + np.exp(-0.8 - 0.5 * liking)))
    off = rng.choice(np.flatnonzero(~click), UNCLICKED_LONG_VIEWS, replace=False)
    long_view[off] = True
    day = rng.integers(len(DAYS), size=ROWS)
    hour = rng.integers(24, size=ROWS)
    zero = np.zeros(ROWS, dtype=np.int64)
    start = DAYS.astype("datetime64[ms]").astype(np.int64).to_numpy()[day]
    frame = pd.DataFrame(
        {
            "user_id": user,
            "video_id": video,
            "date": DAYS.strftime("%Y%m%d").astype(int).to_numpy()[day],
            "hourmin": hour * 100,
            "time_ms": start + hour * 3_600_000 + np.arange(ROWS),
            "is_click": click.astype(np.int64),
            "is_like": (click & (rng.random(ROWS) < 0.1)).astype(np.int64),
            **dict.fromkeys(["is_follow", "is_comment", "is_forward", "is_hate"], zero),
            "long_view": long_view.astype(np.int64),
            "play_time_ms": np.where(long_view, 30_000, np.where(click, 9_000, 1_000)),
            "duration_ms": rng.integers(5_000, 90_000, size=ROWS),
            **dict.fromkeys(["profile_stay_time", "comment_stay_time", "is_profile_enter"], zero),
            "is_rand": zero,
            "tab": rng.integers(4, size=ROWS),
        }
    )
    return pd.concat([frame, frame.iloc[:REPEATS]], ignore_index=True)


def _users(rng: np.random.Generator) -> pd.DataFrame:
    known = USERS - 1
    counts = {
        f"{name}_user_num": rng.integers(500, size=known) for name in ("follow", "fans", "friend")
    }
    return pd.DataFrame(
        {
            "user_id": np.arange(known),
            "user_active_degree": rng.choice(["full_active", "high_active"], known),
            "is_live_streamer": 0,
            "is_video_author": rng.integers(2, size=known),
            **counts,
            **{f"{name}_range": np.where(n > 100, "100+", "(0,100]") for name, n in counts.items()},
            "register_days": rng.integers(900, size=known),
            "register_days_range": "730+",
            **{f"onehot_feat{index}": rng.integers(5, size=known) for index in range(18)},
        }
    )


def _videos(rng: np.random.Generator) -> pd.DataFrame:
    known = VIDEOS - 1
    return pd.DataFrame(
        {
            "video_id": np.arange(known),
            "author_id": rng.integers(20, size=known),
            "video_type": "NORMAL",
            "upload_type": rng.choice(["LongImport", "ShortImport"], known),
            "music_id": rng.integers(10**9, 10**10, size=known),
            "music_type": 9.0,
            "tag": rng.choice(["39", "12,39", "5"], known),
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder to write to")
    write_sample(parser.parse_args().raw)
