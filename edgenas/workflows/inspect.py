"""`edgenas inspect`: what a search would find in a data set; nothing is trained."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgenas.data.found import LeftOut
from edgenas.data.report import SPLITS, DataReport, report_of
from edgenas.errors import EnvironmentFault
from edgenas.system.file_index import write_atomically
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config, resolve_data
from edgenas.workflows.given import Given
from edgenas.workflows.load_data import load_data

THUMBNAIL = 96  # pixels
MOST_THUMBNAILS = 1000
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } th, td { padding: .2rem .9rem .2rem 0; text-align: left }
.figure { text-align: right; font-variant-numeric: tabular-nums }
ul { list-style: none; padding: 0; display: grid; gap: 1rem }
ul { grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)) }
li img, li span { display: block; width: 96px; height: 96px; object-fit: contain; background: #eee }
li { overflow-wrap: anywhere; font-size: 13px } em { color: #777 }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd }
  li img, li span { background: #333 }
}
"""


def inspect(config: Config, reporter: Reporter) -> DataReport:
    """Read a data set as a search would, and return what it holds.

    Raises:
        DataError: it cannot be used; `details` names everything that is wrong, where a line has no room for it.
        UsageError: there is no such data set.
    """
    return report_of(load_data(resolve_data(config), Given(), "cpu", reporter))


def write_html(path: Path, report: DataReport | None, wrong: Sequence[str], root: Path | None) -> None:
    """Write a page on a data set, with thumbnails of what is left out; it loads nothing from elsewhere.

    Args:
        path: of the page.
        report: None where the data cannot be used.
        wrong: what is wrong, in lines.
        root: folder of the files that the report names; None where there are no files.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    name = "This data set cannot be used" if report is None else report.name
    body = [f"<h1>{html.escape(name)}</h1>", *(f"<p>{html.escape(line)}</p>" for line in wrong)]
    if report is not None:
        body += [f"<p>{html.escape(report.line())}</p>", *_table(report)]
        body += [f"<p>{html.escape(line)}</p>" for line in (*facts(report), *report.notices)]
        if left_out := report.found.left_out:
            body += [f"<h2>Left out: {len(left_out):,}</h2>", "<ul>", *_left_out(left_out, root), "</ul>"]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(name)}</title>'
        f"<style>{STYLE}</style>{''.join(body)}</html>\n"
    )
    try:
        write_atomically(path, page.encode(errors="backslashreplace"))
    except OSError as error:
        raise EnvironmentFault(f"{path}: cannot be written ({error.strerror}); choose another --html") from error


def facts(report: DataReport) -> list[str]:
    """Return what is to be said of the pictures, in lines."""
    found, lines = report.found, []
    if found.sizes:
        small, median, large = (f"{width} x {height}" for height, width in found.sizes)
        few = f"all pictures have {small} pixels"
        lines.append(few if small == large else f"pictures from {small} to {large} pixels, the median {median}")
    if found.hidden is not None and not any("--fit" in notice for notice in report.notices):
        lines.append(f"a centred square hides {found.hidden:.0%} of a picture on average; --fit {report.fit} is used")
    if found.white is not None:
        lines.append(
            f"grey pictures of 16 bits: {found.white:,} is white; of 256 levels the darkest has {found.grey_levels}"
        )
    if report.imbalance > 1:
        lines.append(f"the largest class has {report.imbalance:.1f} times as many training images as the smallest")
    return lines


def _table(report: DataReport) -> Iterable[str]:
    yield "<table><tr><th>class" + "".join(f'<th class="figure">{split}' for split in SPLITS)
    for name, counts in (*report.classes.items(), ("all", report.images)):
        yield f"<tr><td>{html.escape(name)}" + "".join(f'<td class="figure">{counts[split]:,}' for split in SPLITS)
    yield "</table>"


def _left_out(left_out: Sequence[LeftOut], root: Path | None) -> Iterable[str]:
    for number, one in enumerate(left_out):
        thumbnail = _thumbnail(root / one.name) if root is not None and number < MOST_THUMBNAILS else None
        picture = "<span></span>" if thumbnail is None else f'<img alt="" src="data:image/jpeg;base64,{thumbnail}">'
        yield f"<li>{picture}{html.escape(one.name)}<br><em>{html.escape(one.reason)}</em></li>"


def _thumbnail(file: Path) -> str | None:
    """Return a small JPEG in base64; None of what is no picture."""
    from edgenas.data.storage.decode import Unreadable, decode

    if not file.is_file():  # opening a pipe waits for ever
        return None
    try:
        image = decode(file, THUMBNAIL)
    except Unreadable:
        return None
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()
