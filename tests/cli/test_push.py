"""The command `push`."""

import pytest

constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra 'hub'")


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    """An address where nothing listens, and no token."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)


def test_a_dry_run_prints_what_would_be_sent_and_needs_no_token(call):
    done = call("push", "cabg", "owner/cabg", "--dry-run")
    assert done.code == 0
    for part in ("config.json", "model.safetensors", "model.onnx", "README.md", "LICENSE.md", "NOTICE"):
        assert part in done.out
    assert "Licence: CC BY-NC-SA 4.0" in done.out
    assert "Nothing was sent. It would go to http://127.0.0.1:9/owner/cabg (private, if it is new)" in done.out
    assert 'license: "cc-by-nc-sa-4.0"' in done.out
    assert "emocatcher predict voice.wav --model owner/cabg" in done.out


def test_what_is_missing_is_one_line(call):
    for words, message in (
        (("push", "cabg", "cabg"), "Write owner/name"),
        (("push", "cabg", "owner/cabg"), "There is no token of the Hugging Face hub. Log in with `hf auth login`"),
        (("push", "no-such-model", "owner/cabg"), "No model 'no-such-model'"),
    ):
        done = call(*words)
        assert done.code == 2
        assert message in done.err
        assert len(done.err.splitlines()) == 1
