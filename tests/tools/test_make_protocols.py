from importlib import resources

import pytest

import make_protocols as make
from emocatcher.evaluation.protocols.committed import COMMITTED
from emocatcher.foundation.errors import ProtocolError

ORDERED = [name for name in COMMITTED if make.RECIPES[name].needs_file_order]


def equals_committed(folder, name):
    committed = resources.files("emocatcher.evaluation.protocols") / "files"
    return all(
        (folder / f"{name}{suffix}").read_bytes() == (committed / f"{name}{suffix}").read_bytes()
        for suffix in (".toml", ".csv")
    )


@pytest.mark.corpus
@pytest.mark.parametrize("name", ORDERED)
def test_the_command_reproduces_the_committed_files_from_the_published_list(ravdess_dir, tmp_path, name):
    file_order = ravdess_dir.parent.parent / "reference" / "file_order.csv"
    if not file_order.is_file():
        pytest.skip("needs the published list of files: reference/file_order.csv next to the corpora")
    make.main([name, "--file-order", str(file_order), "--to", str(tmp_path)])
    assert equals_committed(tmp_path, name)


@pytest.mark.parametrize("name", [name for name in COMMITTED if name not in ORDERED])
def test_the_command_reproduces_the_committed_files_that_need_no_list(tmp_path, name):
    make.main([name, "--to", str(tmp_path)])
    assert equals_committed(tmp_path, name)


def test_every_committed_protocol_has_a_recipe_and_a_missing_list_is_refused(tmp_path):
    assert tuple(make.RECIPES) == COMMITTED
    with pytest.raises(ProtocolError, match="Give --file-order"):
        make.make("reference-cv5", tmp_path)


def test_the_files_contain_no_path_of_the_machine(tmp_path):
    listing = tmp_path / "order.csv"
    rows = [f"../../dataset/x/clip-{i:02}.wav,{i % 2 + 1:02}" for i in range(40)]
    listing.write_text("\n".join(["speech_list,emotion", *rows]))
    make.make("reference-cv5", tmp_path / "out", listing)
    text = (tmp_path / "out" / "reference-cv5.csv").read_text()
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == [f"clip-{i:02}" for i in range(40)]
    assert "/" not in text
    assert str(tmp_path) not in (tmp_path / "out" / "reference-cv5.toml").read_text()


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "speech_list,emotion\nx.wav,sad\n", None])
def test_an_unreadable_list_is_refused_in_one_line(tmp_path, capsys, text):
    listing = tmp_path / "order.csv"
    if text is not None:
        listing.write_text(text)
    with pytest.raises(ProtocolError, match="is not a list of files"):
        make.read_file_order(listing)
    with pytest.raises(SystemExit) as stop:
        make.main(["reference-cv5", "--file-order", str(listing), "--to", str(tmp_path)])
    assert stop.value.code == 2
    assert "is not a list of files" in capsys.readouterr().err
