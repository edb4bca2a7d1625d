"""Write the model card: training data, scores, licence and limits, as the Hugging Face hub shows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emocatcher.evaluation.scoring.adaptation import AS_IT_IS, Adaptation
from emocatcher.evaluation.scoring.run_result import Estimate, SpeakerGroup
from emocatcher.foundation.errors import one_line
from emocatcher.models.model_folder import card_metadata

if TYPE_CHECKING:
    from emocatcher.models.model_folder import ModelConfig

_USE = "## Use it"
_ACTED_LIMITS = (
    "The corpus has acted emotions, recorded in a studio in North American English. The scores do not show how well "
    "the model works on spontaneous speech, in other languages or in noise."
)
_CORPORA_LIMITS = (
    "The score on a corpus is that of a model trained on the others, so it shows what to expect of recordings unlike "
    "those of the training: they differ widely, and recordings of your own with known emotions are the only sure test."
)
_OTHER_LIMITS = (
    "The scores are on recordings of its corpus. They do not show how well the model works on voices, languages and "
    "rooms unlike those."
)


def text(config: ModelConfig) -> str:
    """Return the model card of a config, in Markdown with the header that the Hugging Face hub reads."""
    training, front_end = config.training, config.settings.front_end
    shared = {None: "not known", True: "yes: the scores hold only for speakers in the training part", False: "no"}
    facts = {
        "Emotions": ", ".join(config.labels),
        "Parameters": f"{config.n_parameters:,}",
        "Corpus": training.corpus + (" (SYNTHETIC: generated voices, for tests only)" if training.synthetic else ""),
        "Protocol": training.protocol + ("" if training.fold is None else f", fold {training.fold}"),
        "Speakers shared between training and test": shared[training.speakers_shared],
        "Selection": training.selection + (" (optimistic)" if training.selection == "best-test" else ""),
        "Epoch": "not known" if training.epoch is None else str(training.epoch),
        "Seed": "not known" if training.seed is None else str(training.seed),
        "Sample rate": f"{front_end.sample_rate} Hz",
        "Temperature": f"{config.temperature:g}" + (" (not calibrated)" if config.temperature == 1.0 else ""),
        "Abstains below": f"{config.abstain_below:g}" if config.abstain_below else "never",
    }
    if config.dimensions:
        facts["Dimensions"] = ", ".join(f"{one.name} ({one.low:g} to {one.high:g})" for one in config.dimensions)
    if training.device:
        facts["Device of the training"] = training.device
    rows = "\n".join(f"| {name} | {_plain(value)} |" for name, value in facts.items())
    scores = "\n".join(f"| {_plain(name.replace('_', ' '))} | {value:.4f} |" for name, value in training.scores.items())
    scores_table = f"\n## Scores\n\n| score | held out |\n|---|---|\n{scores}\n" if scores else ""
    note = f"\n{training.note}\n" if training.note else ""
    encoder = ""
    if config.settings.encoder:
        taken = config.settings.encoder
        named = f"the first {taken.n_layers} layers of {_plain(taken.source)}"
        owner = " (MIT licence, OpenAI; Radford et al. 2022)" if taken.source.startswith("openai/whisper-") else ""
        encoder = f" The encoder is {named}{owner}, not trained further; its licence applies to it."
    limits = _ACTED_LIMITS if training.corpus == "ravdess" else _OTHER_LIMITS
    if training.across_corpora:
        limits = _CORPORA_LIMITS
    return f"""{card_metadata.header(config)}
# {_plain(config.name)}

A speech emotion recognition model of emocatcher {config.version}.
{note}
| | |
|---|---|
{rows}
{scores_table}{_adaptation_section(config.adaptation)}{_groups_section(training.speaker_groups)}
## Licence

The weights are derived from the corpus, whose licence is: {_plain(training.licence)}.{encoder}

## Limits

{limits}
The model recognises what a voice sounds like, not what a person feels. Do not use it to judge people: their
truthfulness, their health, their fitness for a job. A probability estimates how often such predictions were right on
held-out recordings of that corpus, and may be wrong on other recordings.
"""


def for_hub(card: str, config: ModelConfig, name: str) -> str:
    """Return a card for a repository on the Hugging Face hub: with the header of its config, and how it is used.

    Args:
        card: as it is in the model folder, where it may have been edited; only its header is replaced.
        config: the model's.
        name: "owner/name".
    """
    body = re.sub(r"\A---\n.*?^---\n", "", card, count=1, flags=re.DOTALL | re.MULTILINE)
    text = f"{card_metadata.header(config)}\n{body.lstrip()}"
    if _USE in text:
        return text
    return f"""{text.rstrip()}

{_USE}

```
pip install 'emocatcher[hub]'
emocatcher predict voice.wav --model {name}
```

```python
import emocatcher

prediction = emocatcher.load("{name}").predict("voice.wav")
print(prediction.emotion, prediction.probability)
```
"""


def _adaptation_section(found: Adaptation | None) -> str:
    if found is None:
        return ""
    said = zip((*found.earlier, found), adapted_to(found), strict=True)
    return "\n## Adaptation\n\n" + "\n".join(f"{_plain(text)}\n{_steps(one)}" for one, text in said)


def adapted_to(found: Adaptation) -> list[str]:
    """State what a model was adapted to, the first adaptation first."""
    after = f" The scores are those of {found.model}." if found.validated_by == "nothing" else ""
    return [*map(_adapted_to, found.earlier), _adapted_to(found) + after]


def _adapted_to(found: Adaptation) -> str:
    speakers = (
        "" if found.n_speakers is None else f" of {found.n_speakers} speaker{'' if found.n_speakers == 1 else 's'}"
    )
    of_labels = ", ".join(f"{n} {label}" for label, n in zip(found.labels, found.n_of_label, strict=False))
    by_label = f" ({of_labels})" if of_labels else ""
    what = f"{found.n_recordings} recordings{speakers} of {found.corpus}{by_label}{found.also}"
    measured = (
        "They have no labels, and its answers for them are of too few emotions to learn from: its weights stay."
        if found.validated_by == "nothing" and found.chosen == AS_IT_IS
        else "They have no labels: it was fitted to its own answers for them, and nothing was measured on them."
        if found.validated_by == "nothing"
        else f"Validation was on {found.validated_by} that a step was not fitted to."
    )
    return f"Adapted from {found.model} to {what}. {measured}"


def _steps(found: Adaptation) -> str:
    rows = "\n".join(
        f"| {one.name}{', chosen' if one.name == found.chosen else ''} | {one.unweighted_average_recall:.3f} "
        f"({one.interval[0]:.3f} to {one.interval[1]:.3f}) | {one.log_loss:.3f} |"
        for one in found.steps
    )
    return f"\n| step | UAR on validation | log loss |\n|---|---|---|\n{rows}\n" if rows else ""


def _groups_section(groups: tuple[SpeakerGroup, ...]) -> str:
    if not groups:
        return ""

    def cell(found: Estimate | None) -> str:
        if found is None:
            return "not scored"
        low, high = found.interval
        return f"{found.mean:.3f} ({low:.3f} to {high:.3f})"

    rows = "\n".join(
        f"| {_plain(one.corpus)} | {one.trait} | {_plain(one.name)} | {one.n_speakers} "
        f"| {cell(one.unweighted_average_recall)} | {cell(one.share_answered)} |"
        for one in groups
    )
    return (
        "\n## For whom it works\n\nHeld out, with 95% intervals by drawing speakers. Groups of few speakers are not "
        "scored.\n\n| corpus | trait | group | speakers | UAR | share answered |\n|---|---|---|---|---|---|\n"
        f"{rows}\n"
    )


def _plain(text: str) -> str:
    """Escape what Markdown would take for a cell, a tag or a link: names and labels come from others."""
    return re.sub(r"([\\`|<>\[\]])", r"\\\1", one_line(text))
