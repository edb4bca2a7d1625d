import subprocess
import sys

import msgspec
import pytest

from emocatcher.evaluation.protocols import load, names
from emocatcher.foundation.errors import ProtocolError


@pytest.mark.parametrize(
    "name", [name.replace("K", "4") for name in names() if name != "manifest" and "corpus" not in name]
)
def test_every_name_loads_a_protocol_of_that_name(ravdess_table, name):
    assert load(name, ravdess_table).name == name


@pytest.mark.parametrize("name", ["speaker-5", "speakers-x", "speakers--2", "speakers-5 ", "speakers-²", "", "cv5"])
def test_an_unknown_name_error_lists_all_names(ravdess_table, name):
    with pytest.raises(ProtocolError) as error:
        load(name, ravdess_table)
    assert all(known in str(error.value) for known in names())
    assert "\n" not in str(error.value)


def test_a_similar_name_is_suggested(ravdess_table):
    with pytest.raises(ProtocolError, match="Did you mean 'reference-holdout'"):
        load("reference-houldout", ravdess_table)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused_if_it_is_used(ravdess_table, seed):
    with pytest.raises(ProtocolError, match=f"is {seed}. Allowed: 0 to 4294967295"):
        load("speakers-4", ravdess_table, seed)
    assert load("reference-holdout", ravdess_table, seed) == load("reference-holdout", ravdess_table)


def test_a_corpus_that_lacks_utterances_is_refused(ravdess_table):
    partial = msgspec.structs.replace(ravdess_table, utterances=ravdess_table.utterances[3:])
    missing = ", ".join(u.id for u in ravdess_table.utterances[:3])
    with pytest.raises(ProtocolError, match="needs 3 utterances that corpus 'ravdess' lacks") as error:
        load("reference-cv5", partial)
    assert all(id_ in str(error.value) for id_ in missing.split(", "))


def test_importing_protocols_does_not_import_scikit_learn():
    code = "import sys, emocatcher.evaluation.protocols; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
