"""The page in a browser: no console output, offline, figures legible on a desktop and a phone."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from unit.report.reports import ALL, known

from mtl_seq.report.render.figures import report_figures

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None and "CI" not in os.environ,  # on CI a missing browser is a failure
    reason=f"none of {', '.join(NAMES)} is installed (apt-get install chromium)",
)

# Hosts that the browser asks on its own account, whatever page it shows.
ITS_OWN = {"accounts.google.com", "clients2.google.com", "update.googleapis.com"}
DESKTOP, PHONE = 1200, 390
KEPT = Path(__file__).parents[4] / "build" / "report"
"""Screenshots of the pages are kept here."""

SMALLEST = 9.0  # CSS pixels of a letter's height

MEASURE = """
<!doctype html><body style="margin:0">
<iframe id="page" src="{page}" style="border:0;width:{width}px;height:{height}px"></iframe>
<pre id="found"></pre>
<script>
const frame = document.getElementById("page");
frame.onload = () => {{
  const page = frame.contentDocument;
  const root = page.documentElement;
  const figures = [...page.querySelectorAll("figure")].map((figure) => {{
    const drawn = [...figure.querySelectorAll("svg")];
    const shown = drawn.filter((s) => s.getBoundingClientRect().width);
    const box = shown.length && shown[0].getBoundingClientRect();
    const scale = shown.length && box.width / shown[0].viewBox.baseVal.width;
    const texts = shown.length ? [...shown[0].querySelectorAll("text")] : [];
    const out = texts.filter((t) => {{
      const b = t.getBoundingClientRect();
      return b.left < box.left - 2 || b.right > box.right + 2 || b.top < box.top - 2
        || b.bottom > box.bottom + 2;
    }});
    return {{
      id: figure.id, shown: shown.map((s) => s.getAttribute("class")), width: box.width,
      letters: Math.min(...texts.map((t) => scale * parseFloat(
        frame.contentWindow.getComputedStyle(t).fontSize))),
      texts: texts.length, cut: out.map((t) => t.textContent),
    }};
  }});
  document.getElementById("found").textContent = JSON.stringify(
    {{ wide: root.scrollWidth, space: root.clientWidth, height: root.scrollHeight, figures }});
}};
</script>
"""


class Visit(NamedTuple):
    """What a browser did with a page."""

    console: list[str]
    requests: set[str]
    output: str


def visit(page, folder, *flags):
    """Open a file; console lines, requests and output."""
    log = folder / "net.json"
    assert BROWSER is not None, "no Chromium is installed (apt-get install chromium)"
    command = [
        *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--hide-scrollbars", "--allow-file-access-from-files"),
        *("--enable-logging=stderr", "--v=0", f"--log-net-log={log}"),
        *(f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    urls = {html.unescape(url) for url in re.findall(r'"url":"([^"]+)"', log.read_text())}
    asked = {url for url in urls if urlsplit(url).scheme not in ("file", "data", "chrome", "blob")}
    return Visit(console, {u for u in asked if urlsplit(u).hostname not in ITS_OWN}, done.stdout)


def measured(page, folder, width, height=4000):
    """Sizes of the page and its figures at a width, read inside a frame of that width."""
    wrapper = folder / "measure.html"
    wrapper.write_text(MEASURE.format(page=page.as_uri(), width=width, height=height))
    found = visit(wrapper, folder, "--dump-dom", f"--window-size={max(width, 600)},{height}")
    return json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', found.output)[1]))


@pytest.fixture(scope="module", params=list(ALL))
def page(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    KEPT.mkdir(parents=True, exist_ok=True)
    report = ALL[request.param]()
    report.to_html(folder / "report.html")
    return report, folder / "report.html", folder, request.param


def test_the_page_is_silent_and_asks_nobody_for_anything(page):
    _, path, folder, kind = page
    screen = KEPT / f"{kind}-desktop.png"
    screen.unlink(missing_ok=True)
    found = visit(path, folder, f"--screenshot={screen}", f"--window-size={DESKTOP},6000")
    assert found.console == []
    assert found.requests == set()
    content = screen.read_bytes()
    assert int.from_bytes(content[16:20]) == DESKTOP
    assert len(content) > 50_000


@pytest.mark.parametrize(("width", "layout"), [(DESKTOP, "wide"), (PHONE, "narrow")])
def test_every_figure_is_there_and_legible(page, width, layout):
    report, path, folder, _ = page
    found = measured(path, folder, width)
    assert [one["id"] for one in found["figures"]] == [
        f"figure-{name}" for name in report_figures(report)
    ]
    for one in found["figures"]:
        assert one["shown"] == [layout], one["id"]
        assert one["texts"] > 5, one["id"]
        assert one["letters"] >= SMALLEST, one["id"]
        assert one["cut"] == [], one["id"]
    assert found["wide"] <= found["space"]  # nothing sticks out of the page


def test_a_screenshot_of_the_page_on_a_phone_is_kept(page):
    _, path, folder, kind = page
    wrapper = folder / "measure.html"
    wrapper.write_text(MEASURE.format(page=path.as_uri(), width=PHONE, height=6000))
    screen = KEPT / f"{kind}-phone.png"
    screen.unlink(missing_ok=True)
    visit(wrapper, folder, f"--screenshot={screen}", f"--window-size={PHONE},6000")
    assert len(screen.read_bytes()) > 50_000


@pytest.mark.parametrize(
    ("bad", "noticed"),
    [
        ("<script>console.error('broken')</script>", "console"),
        ("<script>missing()</script>", "console"),
        ("<img src='http://127.0.0.1:9/x.png'>", "requests"),
        ("<style>@import 'http://127.0.0.1:9/font.css';</style>", "requests"),
        ("<style>@import 'https://fonts.googleapis.com/css?family=X';</style>", "requests"),
    ],
)
def test_the_check_notices_a_page_that_is_not(bad, noticed, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(f"<!doctype html><body>{bad}")
    found = visit(path, tmp_path, f"--screenshot={tmp_path / 's.png'}")
    assert getattr(found, noticed)


def test_the_measure_notices_small_and_cut_text(tmp_path):
    path = tmp_path / "bad.html"
    drawing = (
        '<svg class="wide" viewBox="0 0 1000 20" width="300"><text x="5" y="15" '
        'style="font-size:10px">small</text><text x="990" y="15" style="font-size:10px">cut off'
        "</text></svg>"
    )
    path.write_text(f'<!doctype html><body><figure id="f">{drawing}</figure>')
    (one,) = measured(path, tmp_path, DESKTOP)["figures"]
    assert one["letters"] == pytest.approx(3, abs=0.1)
    assert one["cut"] == ["cut off"]


def test_the_page_prints(tmp_path):
    known().to_html(tmp_path / "report.html")
    out = tmp_path / "report.pdf"
    visit(tmp_path / "report.html", tmp_path, f"--print-to-pdf={out}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page\b", out.read_bytes()))
    assert 4 <= pages <= 20
