import math
from pathlib import Path

import msgspec
import pytest
import tomli_w

from emocatcher.foundation.errors import SettingError
from emocatcher.foundation.settings import from_toml, load_preset, presets, reading
from emocatcher.training.sweep import plan

CABG = load_preset("cabg")


def test_cabg_is_the_published_recipe():
    front_end, vad, training = CABG.front_end, CABG.vad, CABG.training
    assert (front_end.sample_rate, front_end.n_fft, front_end.win_length, front_end.hop_length) == (
        22_050,
        4096,
        2048,
        1364,
    )
    assert (front_end.n_mels, front_end.f_min, front_end.f_max, front_end.amin, front_end.floor_db) == (
        64,
        0.0,
        6000.0,
        1e-10,
        80.0,
    )
    assert (vad.smoothing_sigma, vad.margin_frames, vad.floor_db) == (10.0, 3, 80.0)
    assert CABG.network.conv_channels == (64, 64, 128)
    assert (CABG.optimiser.name, CABG.optimiser.learning_rate, CABG.optimiser.betas) == (
        "adabelief",
        1e-3,
        (0.9, 0.999),
    )
    assert (CABG.schedule.factor, CABG.schedule.patience, CABG.schedule.cooldown) == (0.7, 2, 3)
    assert (training.n_epochs, training.batch_size, training.label_smoothing, training.selection) == (
        120,
        32,
        0.1,
        "last",
    )
    assert front_end.frame_period_s == pytest.approx(0.06186, abs=1e-5)


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_unchanged_by_toml_and_json(name, tmp_path):
    settings = load_preset(name)
    assert settings.preset == name
    text = settings.to_toml()
    assert from_toml(text, "a run") == settings
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    assert load_preset(str(tmp_path / "config.toml")) == settings
    assert msgspec.json.decode(msgspec.json.encode(settings), type=reading.Settings) == settings


def test_old_settings_without_kinds_get_the_first_kind():
    raw = msgspec.to_builtins(CABG)
    for section in ("network", "schedule"):
        del raw[section]["kind"]
    del raw["augmentation"]
    assert from_toml(tomli_w.dumps(raw), "an old run") == CABG
    assert msgspec.convert(reading.upgrade(raw), reading.Settings) == CABG
    assert reading.upgrade(3) == 3


def test_a_removed_setting_is_accepted_only_with_the_value_that_had_no_effect():
    raw = msgspec.to_builtins(CABG)
    raw["training"]["speaker_normalisation"] = False
    assert from_toml(tomli_w.dumps(raw), "an old run") == CABG
    raw["training"]["speaker_normalisation"] = True
    with pytest.raises(SettingError, match="'speaker_normalisation'"):
        from_toml(tomli_w.dumps(raw), "an old run")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("network.channel=8", ["'channel'", "Did you mean 'channels'?", "gru_units"]),
        ("network.conv_channels=[8]", ["'conv_channels'"]),
        ("network.strides=[1]", ["4 dilations", "1 strides"]),
        ("network.noise_db=[-20.0, -40.0]", ["noise_db", "smaller one first"]),
        ("network.kind=cabg", ["'kind'", "dilations"]),
        ("schedule.warm_up=1", ["warm_up = 1", "< 1.0"]),
        ("augmentation.tempo=1.5", ["tempo = 1.5", "< 1.0"]),
    ],
)
def test_a_section_accepts_only_the_settings_of_its_kind(override, words):
    with pytest.raises(SettingError) as caught:
        load_preset("emocatcher-2", [override])
    assert all(word in str(caught.value) for word in words), caught.value


def test_settings_are_frozen_and_hashable():
    with pytest.raises(AttributeError):
        CABG.training.n_epochs = 3
    assert hash(CABG) == hash(load_preset("cabg"))


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("optimiser.learning_rate=5e-4", "optimiser", "learning_rate", 5e-4),
        ("optimiser.learning_rate=1", "optimiser", "learning_rate", 1.0),
        (" training.n_epochs = 3 ", "training", "n_epochs", 3),
        ("training.selection=best-valid", "training", "selection", "best-valid"),
        ("training.selection='best-test'", "training", "selection", "best-test"),
        ("network.conv_channels=[8, 16]", "network", "conv_channels", (8, 16)),
        ("vad.margin_frames=0", "vad", "margin_frames", 0),
    ],
)
def test_an_override_changes_only_its_setting(override, section, key, value):
    changed = load_preset("cabg", [override])
    part = getattr(changed, section)
    assert getattr(part, key) == value
    assert msgspec.structs.replace(part, **{key: getattr(getattr(CABG, section), key)}) == getattr(CABG, section)
    assert msgspec.structs.replace(changed, **{section: getattr(CABG, section)}) == CABG


def test_an_optional_setting_can_be_unset_and_set():
    recipe = load_preset("emocatcher-2")
    without = load_preset("emocatcher-2", ["front_end.pitch=none"])
    assert recipe.front_end.pitch
    assert without.front_end == msgspec.structs.replace(recipe.front_end, pitch=None)
    lower = load_preset("emocatcher-2", ["front_end.pitch={f_min=80.0}"]).front_end.pitch
    assert (lower.f_min, lower.f_max) == (80.0, 700.0)
    with pytest.raises(SettingError, match="n_fft"):
        load_preset("emocatcher-2", ["front_end.n_fft=none"])
    with pytest.raises(SettingError, match=r"'reech'\. Did you mean 'reach'"):
        load_preset("emocatcher-2", ["front_end.pitch={reech=3}"])


def test_several_overrides_apply_together_and_the_last_wins():
    changed = load_preset("cabg", ["training.n_epochs=3", "front_end.win_length=8192", "front_end.n_fft=8192"])
    assert (changed.training.n_epochs, changed.front_end.win_length) == (3, 8192)
    assert load_preset("cabg", ["training.n_epochs=3", "training.n_epochs=4"]).training.n_epochs == 4


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("training.n_epoch=3", ["'n_epoch'", "Did you mean 'n_epochs'?", "batch_size"]),
        ("trainig.n_epochs=3", ["'trainig'", "Did you mean 'training'?", "front_end"]),
        ("preset.name=x", ["'preset'"]),
        ("training.n_epochs", ["section.key=value"]),
        ("n_epochs=3", ["section.key=value"]),
        ("a.b.c=3", ["section.key=value"]),
        ("=", ["section.key=value"]),
        ("training.n_epochs=0", ["n_epochs = 0", ">= 1"]),
        ("training.n_epochs=3.5", ["n_epochs = 3.5", "`int`"]),
        ("training.n_epochs=many", ["n_epochs = 'many'", "`int`"]),
        ("training.n_epochs=true", ["n_epochs = True", "`int`"]),
        ("training.n_epochs=", ["n_epochs = ''", "`int`"]),
        ("training.batch_size=1", ["batch_size = 1", ">= 2"]),
        ("training.selection=best", ["'best'", "last, best-valid, best-test"]),
        ("optimiser.name=adam", ["'adam'", "adabelief"]),
        ("optimiser.learning_rate=nan", ["learning_rate = nan"]),
        ("optimiser.learning_rate=inf", ["learning_rate = inf"]),
        ("optimiser.weight_decay=inf", ["weight_decay = inf"]),
        ("optimiser.betas=[0.9]", ["betas", "length 2"]),
        ("optimiser.betas=[0.9, 1.0]", ["betas", "< 1.0"]),
        ("network.conv_channels=[]", ["conv_channels", "length >= 1"]),
        ("network.kernel_size=4", ["kernel_size 4", "odd"]),
        ("front_end.win_length=5000", ["win_length 5000", "n_fft 4096"]),
        ("front_end.f_max=20000", ["20000.0", "sample_rate / 2"]),
        ("front_end.f_min=7000", ["7000.0", "f_max"]),
        ("vad.smoothing_sigma=0", ["smoothing_sigma = 0", "> 0.0"]),
    ],
)
def test_the_error_for_a_wrong_override_names_what_is_allowed(override, words):
    with pytest.raises(SettingError) as caught:
        load_preset("cabg", [override])
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ("n_epoch = ", "n_epochs = ", ["'n_epoch'", "Did you mean 'n_epochs'?"]),
        ("[trainings]", "[training]", ["'trainings'", "Did you mean 'training'?"]),
        ("presets = ", "preset = ", ["'presets'", "Did you mean 'preset'?"]),
        ("preset = 3 #", "preset = ", ["`str`", "preset"]),
        ("", "n_epochs = 120\n", ["n_epochs", "training"]),
        ("[", "[training]", ["not TOML"]),
        ("[training]\nn_epochs = 7\n", "[training]\n", ["not TOML"]),
    ],
)
def test_the_error_for_a_wrong_file_names_what_is_allowed(wrong, right, words):
    text = CABG.to_toml()
    assert right in text
    with pytest.raises(SettingError) as caught:
        from_toml(text.replace(right, wrong), "runs/a/config.toml")
    assert all(word in str(caught.value) for word in ["runs/a/config.toml", *words]), caught.value


def test_a_section_must_be_a_table(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("training = 3\n" + "".join(CABG.to_toml().partition("[training]")[0]), encoding="utf-8")
    for overrides in ([], ["training.n_epochs=3"]):
        with pytest.raises(SettingError, match="training"):
            load_preset(str(path), overrides)


def test_an_override_can_supply_a_missing_setting(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(CABG.to_toml().replace("n_epochs = 120\n", ""), encoding="utf-8")
    with pytest.raises(SettingError, match="n_epochs"):
        load_preset(str(path))
    assert load_preset(str(path), ["training.n_epochs=7"]).training.n_epochs == 7


def test_the_preset_of_a_users_file_is_its_name(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(CABG.to_toml().replace('preset = "cabg"\n', ""), encoding="utf-8")
    assert load_preset(str(path)).preset == "mine"


@pytest.mark.parametrize("name", ["cagb", "CABG", "", "../presets/cabg"])
def test_the_error_for_an_unknown_preset_lists_the_presets(name):
    with pytest.raises(SettingError, match="cabg") as caught:
        load_preset(name)
    assert f"Unknown preset '{name}'" in str(caught.value)


def test_files_without_settings_are_refused(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.toml", "folder.toml", "binary.toml"):
        with pytest.raises(SettingError, match=name):
            load_preset(str(tmp_path / name))


def test_extreme_numbers_are_unchanged_by_toml():
    changed = load_preset("cabg", ["optimiser.epsilon=1e-300", f"front_end.floor_db={math.pi!r}"])
    assert from_toml(changed.to_toml(), "x") == changed


@pytest.mark.parametrize(("smoothing", "n_classes", "allowed"), [(0.5, 2, True), (0.51, 2, False), (0.51, 8, True)])
def test_label_smoothing_above_an_even_spread_is_refused(smoothing, n_classes, allowed):
    settings = load_preset("cabg", [f"training.label_smoothing={smoothing}"])
    if allowed:
        reading.check_classes(settings, n_classes)
    else:
        with pytest.raises(SettingError, match=r"is 0\.51. With 2 emotions, give at most 0\.5,"):
            reading.check_classes(settings, n_classes)


def test_one_label_is_too_few():
    with pytest.raises(SettingError, match=r"^All recordings have the same label\. To train, "):
        reading.check_classes(load_preset("emocatcher-2"), 1)


def _with_one_changed(value, number):
    """Yield each table with one number in it replaced."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, bool | str):
            continue
        for other in [number] if isinstance(inner, int | float) else _with_one_changed(inner, number):
            changed = dict(value) if isinstance(value, dict) else list(value)
            changed[key] = other
            yield changed


@pytest.mark.parametrize("preset", presets())
def test_no_size_or_count_is_without_an_upper_bound(preset):
    whole = msgspec.to_builtins(load_preset(preset))
    unbounded = {"learning_rate", "epsilon", "weight_decay", "threshold", "min_learning_rate", "largest_gradient"}
    n_refused = 0
    for changed in _with_one_changed(whole, 10**9):
        (section,) = [name for name in whole if whole[name] != changed[name]]
        names = [name for name in whole[section] if whole[section][name] != changed[section][name]]
        if unbounded.isdisjoint(names):
            with pytest.raises(SettingError, match=section):
                from_toml(tomli_w.dumps(changed), "x")
            n_refused += 1
    assert n_refused > 20


@pytest.mark.parametrize(
    ("preset", "override", "needed"),
    [
        ("cabg", "front_end.n_fft=1000000000", "<= 32768"),
        ("cabg", "front_end.hop_length=1", "a longer hop"),
        ("cabg", "network.conv_channels=[1024, 1024, 1024, 1024, 1024, 1024]", None),
        ("emocatcher-2", "network.channels=1024", None),
        ("emocatcher-2", "network.strides=[64, 64, 2, 1]", "Give at most 4,096"),
    ],
)
def test_sizes_that_need_gigabytes_are_refused_with_what_is_allowed(preset, override, needed):
    more = () if needed else ("network.kernel_size=255",)
    with pytest.raises(SettingError, match=needed or "Allowed are 134,217,728"):
        load_preset(preset, [override, *more])


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("[" + "a." * 500_000 + "a]", "300"),
        ("a." * 20_000 + "a = 1", "300"),
        ("a = " + "[" * 2_000_000, "1,048,576"),
        ("\n" * 2_000_000, "1,048,576"),
    ],
    ids=["table", "key", "deep", "long"],
)
def test_toml_of_a_size_that_settings_do_not_have_is_refused_at_once(text, allowed, tmp_path):
    (tmp_path / "x.toml").write_text(text)
    read = (
        lambda: from_toml(text, "x.toml"),
        lambda: load_preset(str(tmp_path / "x.toml")),
        lambda: plan.read(tmp_path / "x.toml"),
        lambda: load_preset("cabg", [f"training.n_epochs={{{text}}}"]),
    )
    for one in read[:3]:
        with pytest.raises(SettingError, match=rf"x\.toml .* {allowed}[\w ,]*\. "):
            one()
    with pytest.raises(SettingError):
        read[3]()


def test_a_file_of_settings_without_an_end_is_refused():
    with pytest.raises(SettingError, match="1,048,576"):
        plan.read(Path("/dev/zero"))


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 10_000], ids=["deep", "long number"])
def test_toml_that_python_cannot_parse_is_refused(value, tmp_path):
    (tmp_path / "x.toml").write_text(f"a = {value}")
    for read in (lambda: from_toml(f"a = {value}", "x"), lambda: load_preset(str(tmp_path / "x.toml"))):
        with pytest.raises(SettingError, match="not TOML"):
            read()
    with pytest.raises(SettingError, match="batch_size"):
        load_preset("cabg", [f"training.batch_size={value}"])
