"""`report.write`, and the files it leaves in the run folder."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from emocatcher.foundation.errors import RunError
from emocatcher.reports import run_report
from emocatcher.reports.run_report.style import OPTIMISTIC

FIGURES = {"curves", "confusion_fold_0", "recall", "speakers", "attention", "examples"}


def _texts(svg_path: Path) -> str:
    root = ET.parse(svg_path).getroot()
    return "\n".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))


def _names(run_dir: Path) -> set[str]:
    return {path.stem for path in (run_dir / "figures").iterdir()}


def test_a_run_of_one_fold_has_each_figure_as_svg_and_png(holdout_dir: Path) -> None:
    assert {path.name for path in (holdout_dir / "figures").iterdir()} == {
        f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")
    }


def test_several_folds_add_pooled_and_lowest_and_highest_matrices_and_calibration(folds_dir: Path) -> None:
    more = {"confusion_pooled", "confusion_lowest_highest", "confusion_fold_1", "calibration"}
    assert _names(folds_dir) == FIGURES | more


def test_a_run_without_speakers_has_no_speaker_figure(odd_dir: Path) -> None:
    assert _names(odd_dir) == FIGURES - {"speakers"}


def test_pngs_have_the_width_of_one_or_two_columns_at_200_dpi(folds_dir: Path) -> None:
    for path in (folds_dir / "figures").glob("*.png"):
        with Image.open(path) as image:
            assert image.width in (700, 1440), path.name
            assert image.info["dpi"][0] == pytest.approx(200, abs=0.1)
            assert len(image.convert("L").histogram()) > 2
            assert image.convert("RGB").getextrema() != ((255, 255),) * 3
            assert not {"Software", "Creation Time"} & image.info.keys()


@pytest.mark.parametrize("folder", ["holdout_dir", "folds_dir", "odd_dir"])
def test_each_figure_names_its_protocol_and_has_its_marks(folder: str, request: pytest.FixtureRequest) -> None:
    run_dir: Path = request.getfixturevalue(folder)
    run = run_report.read(run_dir)
    paths = sorted((run_dir / "figures").glob("*.svg"))
    assert paths
    for path in paths:
        texts = _texts(path)  # parsing fails unless the SVG is well-formed
        assert f"{run.result.protocol} (speakers shared)" in texts, path.name
        assert f"epoch: {run.result.selection}" in texts
        assert (texts.count("SYNTHETIC") == 2) == run.result.synthetic  # across the figure, and below it
        assert ("SYNTHETIC" in texts) == run.result.synthetic
        assert (OPTIMISTIC in texts) == run.result.optimistic


def test_labels_are_never_read_as_mathematics_or_markup(odd_dir: Path) -> None:
    for name in ("confusion_fold_0", "recall", "attention", "examples"):
        texts = _texts(odd_dir / "figures" / f"{name}.svg")
        for label in ("$x_1$", "a & b", "<b>bold</b>"):
            assert label in texts, (name, label)


def test_png_shows_the_synthetic_mark(odd_dir: Path, holdout_dir: Path) -> None:
    def pinkish(run_dir: Path) -> int:
        with Image.open(run_dir / "figures" / "curves.png") as image:
            pixels = image.convert("RGB").get_flattened_data()
            return sum(red > green + 20 and 200 < green < 235 for red, green, _ in pixels)

    assert pinkish(odd_dir) > 20 * max(pinkish(holdout_dir), 100)


def test_writing_twice_gives_the_same_bytes(odd_dir: Path, tmp_path: Path) -> None:
    again = tmp_path / odd_dir.name
    shutil.copytree(odd_dir, again, ignore=shutil.ignore_patterns("figures", "report.html"))
    assert run_report.write(again) == again / "report.html"
    for path in [odd_dir / "report.html", *(odd_dir / "figures").iterdir()]:
        assert path.read_bytes() == (again / path.relative_to(odd_dir)).read_bytes(), path.name


def test_report_holds_no_date_and_no_absolute_path(holdout_dir: Path) -> None:
    for path in [holdout_dir / "report.html", *(holdout_dir / "figures").glob("*.svg")]:
        text = path.read_text(encoding="utf-8")
        assert "<metadata" not in text
        assert str(holdout_dir.parent) not in text


def test_ids_are_unique_over_all_figures_and_references_resolve(folds_dir: Path) -> None:
    seen: set[str] = set()
    for path in (folds_dir / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        ids = re.findall(r'\bid="([^"]+)"', text)
        references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
        assert len(ids) == len(set(ids))
        assert references <= set(ids)
        assert not seen & set(ids)
        seen |= set(ids)


def test_an_unwritable_folder_raises_run_error(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_utterances=120, n_epochs=2)
    (run_dir / "figures").write_text("in the way")
    with pytest.raises(RunError, match="Cannot write the report"):
        run_report.write(run_dir)


def test_an_unfinished_run_is_refused_before_any_file_is_written(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(n_utterances=120, n_epochs=2)
    (run_dir / "result.json").unlink()
    with pytest.raises(RunError, match=r"result\.json is missing"):
        run_report.write(run_dir)
    assert not (run_dir / "figures").exists()


def test_import_loads_no_heavy_library_and_drawing_no_pyplot(holdout_dir: Path) -> None:
    code = (
        "import sys, emocatcher.reports.run_report as report\n"
        "heavy = {'matplotlib', 'jinja2', 'torch', 'pandas', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "from emocatcher.reports.run_report import curves\n"
        f"curves.draw(report.read({str(holdout_dir)!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_report_of_twenty_labels(made_run: Callable[..., Path]) -> None:
    labels = tuple(f"emotion number {index}" for index in range(20))
    run_dir = made_run(labels=labels, n_folds=2, n_epochs=2, protocol="stratified-2", absent_label=True)
    assert run_report.write(run_dir).stat().st_size < 5e6
    texts = _texts(run_dir / "figures" / "confusion_pooled.svg").splitlines()
    assert all(texts.count(label) == 4 for label in labels)  # rows and columns of both matrices
    assert "no test utterance" in _texts(run_dir / "figures" / "attention.svg")


@pytest.mark.slow
def test_report_of_ten_folds(made_run: Callable[..., Path]) -> None:
    run_dir = made_run(labels=("high", "low"), n_folds=10, n_utterances=300, n_epochs=2, protocol="speakers-10")
    assert run_report.write(run_dir).stat().st_size < 5e6
    assert {f"confusion_fold_{fold}" for fold in range(10)} < _names(run_dir)
