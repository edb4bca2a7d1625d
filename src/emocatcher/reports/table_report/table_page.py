"""Render the page of a table of predictions, in the style of a run's report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import resources

import msgspec

from emocatcher.models import model_folder
from emocatcher.reports.run_report import figure_files, html, style
from emocatcher.reports.run_report.tables import NONE, Table
from emocatcher.reports.table_report import in_words, share_figures
from emocatcher.reports.table_report.counts import Emotion, Group, Grouping, Guess, Tally
from emocatcher.reports.table_report.course import FEWEST_ANSWERS, Course

N_GROUPS = 40  # rows of a table of groups; the rest is one row
_N_KINDS, _N_LABELS = 20, 40  # of errors and warnings; of emotions

# A flat table has only the codes of warnings, without the values of each recording.
WARNINGS = {
    "no-speech": "no speech was found, so there is no emotion",
    "too-short": "too little voice to recognise an emotion",
    "too-long": "more voice at once than in any recording of the training",
    "clipped": "clipped: samples stay at the peak",
    "narrow-band": "narrow band: nothing above 4.3 kHz, as over a telephone",
    "very-quiet": "very quiet: more than 60 dB below full scale",
    "truncated": "the file breaks off: only its first part was used",
    "damaged": "parts of the file could not be decoded",
    "unread": "bytes behind the declared end were not read: are files joined?",
    "rescaled": "samples beyond full scale, which were divided",
    "channels-cancel": "a voice in opposite phase, or late, in several channels; channels were left out",
    "channels-differ": "channels with sound of their own, as of several persons: recognise each on its own",
    "no-voiced-span": "no voiced span was found: the whole recording was used",
}


def render(tally: Tally) -> str:
    """Render the page."""
    with style.paper():
        drawings = [share_figures.shares(tally), share_figures.probabilities(tally)] if tally.labels else []
        overall = [_embed(drawing, tally) for drawing in drawings]
        course = _embed(share_figures.course(tally, tally.course), tally) if tally.course else None
        groups = [_grouping(tally, found, number) for number, found in enumerate(tally.groupings, start=1)]
    return html.fill(
        (resources.files(__package__) / "template.html").read_text(encoding="utf-8"),
        tally=tally,
        unit=in_words.unit(tally),
        cards=_cards(tally),
        headline=in_words.headline(tally),
        frequent=in_words.frequent(tally),
        expected=_expected(tally),
        pictures=overall,
        emotions=_emotions(tally),
        course=course,
        course_table=_course(tally, tally.course) if tally.course else None,
        groups=groups,
        sure=[
            _guesses("Most sure", tally.most_sure, tally),
            _guesses("Least sure", tally.least_sure, tally),
        ],
        abstained=_abstained(tally),
        warnings=_warnings(tally),
        errors=tally.errors[:_N_KINDS],
        n_more_kinds=max(len(tally.errors) - _N_KINDS, 0),
        facts=_facts(tally),
        other_course_helps=tally.n_answered >= FEWEST_ANSWERS,
    )


def _share(n: float, of: int) -> str:
    return f"{n / of:.1%}" if of else NONE


def _cards(tally: Tally) -> list[tuple[str, str, str]]:
    """Return the numbers at the top: name, value, and words below it."""
    n, unit = tally.n_rows, in_words.unit(tally)
    rows = "" if unit == "recording" else f"{n:,} rows, one for each channel"
    silent = f", {tally.n_no_speech:,} without speech" if tally.n_no_speech else ""
    return [
        ("Recordings", f"{tally.n_recordings:,}", rows),
        ("Answered", f"{tally.n_answered:,}", _share(tally.n_answered, n)),
        ("Abstained", f"{tally.n_abstained:,}", _share(tally.n_abstained, n) + silent),
        ("Failed", f"{tally.n_failed:,}", _share(tally.n_failed, n)),
    ]


def _expected(tally: Tally) -> str:
    """State how the shares must be read."""
    if tally.mean_probability is None:
        return "The model answered for no recording, so there are no shares of answers."
    long = ""
    if tally.n_long:
        n = in_words.number(tally.n_long, in_words.unit(tally))
        long = f" {n} of more than 10 s count by the emotion with the largest share."
    return (
        "Shares are of the answers; a recording for which the model abstained counts in none. Answers can be wrong: "
        f"their mean probability is {tally.mean_probability:.1%}, the part that is right where recordings are like "
        f"those that the model was calibrated on.{long}"
    )


def _embed(drawing: style.Drawing, tally: Tally) -> html.Picture:
    models = ", ".join(dict.fromkeys(f"{model.name} {model.version}" for model in tally.models))
    words = style.shorten(f"{tally.table} · {models or 'no model'}", 100)
    figure_files.stamp_words(drawing.figure, words, [], synthetic=False)
    return html.picture(drawing, figure_files.element(drawing), "")


def _emotions(tally: Tally) -> Table | None:
    if not tally.labels:
        return None
    ranked = sorted(tally.labels, key=lambda label: -tally.emotions[label].n_answered)[:_N_LABELS]
    kept = [label for label in tally.labels if label in ranked]

    def cells(name: str, one: Emotion) -> tuple[str, ...]:
        mean = NONE if one.mean_probability is None else f"{one.mean_probability:.1%}"
        return name, f"{one.n_answered:,}", _share(one.n_answered, tally.n_answered), f"{one.n_abstained:,}", mean

    silent = tally.n_abstained - tally.n_no_speech
    rows = [cells(label, tally.emotions[label]) for label in kept]
    rows.append(("all", f"{tally.n_answered:,}", _share(tally.n_answered, tally.n_answered), f"{silent:,}", ""))
    more = f" The {len(kept)} most frequent of {len(tally.labels)}." if len(kept) < len(tally.labels) else ""
    return Table(
        caption=f"Answers by emotion.{more}",
        header=("emotion", "answers", "share", "abstained, most probable", "mean probability"),
        rows=tuple(rows),
        n_summary=1,
    )


def _course(tally: Tally, course: Course) -> Table:
    labels = share_figures.shown(tally)
    rows = tuple(
        (part.start, f"{part.n_answered + part.n_abstained + part.n_failed:,}", f"{part.n_answered:,}",
         f"{part.n_abstained:,}", f"{part.n_failed:,}", *_shares(part.emotions, part.n_answered, labels))
        for part in course.parts
    )  # fmt: skip
    header = (course.by or "from row", "rows", "answered", "abstained", "failed", *labels)
    return Table(caption=f"Parts of {course.step}: shares of the answers, with counts.", header=header, rows=rows)


def _shares(emotions: dict[str, int], n: int, labels: Sequence[str]) -> list[str]:
    counts = {label: emotions.get(label, 0) for label in labels}
    if labels and labels[-1] == share_figures.OTHERS:
        counts[share_figures.OTHERS] = n - sum(counts.values())
    return [f"{count / n:.0%} ({count:,})" if count else NONE for count in counts.values()]


def _grouping(tally: Tally, found: Grouping, number: int) -> tuple[str, html.Picture | None, Table]:
    """Return the title, the figure and the table of a grouping; of many groups, the largest are shown."""
    labels = share_figures.shown(tally)
    ranked = sorted(range(len(found.groups)), key=lambda i: -found.groups[i].n)
    shown = [found.groups[i] for i in sorted(ranked[:N_GROUPS])]
    rest = [found.groups[i] for i in ranked[N_GROUPS:]] + ([found.others] if found.others else [])
    failed = ["failed"] * bool(tally.n_failed)  # a column of zeros would take the room of an emotion
    rows = [_group(_name(group, found, tally), group, labels, failed) for group in shown]
    n = len(found.groups)
    words = f"{n:,}{' and more' if found.others else ''} group{'s' if n != 1 else ''} by {found.by}"
    if rest:
        words = f"The {N_GROUPS} largest of {words}"
        rows.append(_group("all others", _joined(rest), labels, failed))
    table = Table(
        caption=f"{words}: shares of the answers, with counts. With a question mark: rows on which the model "
        "abstained, by its best guess; they are in no share.",
        header=(found.by, "rows", "answered", "abstained", *failed, *labels),
        rows=tuple(rows),
        n_summary=int(bool(rest)),
    )
    return f"By {found.by}", _drawn(tally, found, number), table


def _drawn(tally: Tally, found: Grouping, number: int) -> html.Picture | None:
    """Return the figure of the groups with the most rows with speech; None if there is no speech."""
    n_spoken = [group.n_answered + sum(group.guesses.values()) for group in found.groups]
    ranked = sorted(range(len(found.groups)), key=lambda i: -n_spoken[i])[: share_figures.N_GROUPS]
    drawn = [found.groups[i] for i in sorted(ranked) if n_spoken[i]]
    if not drawn:
        return None
    with_speech = sum(map(bool, n_spoken))
    words = f"The {len(drawn)} of {with_speech:,} groups with most speech. " if len(drawn) < with_speech else ""
    some = msgspec.structs.replace(found, groups=tuple(drawn))
    names = [_name(group, found, tally) for group in drawn]
    return _embed(share_figures.groups(tally, some, names, number, words), tally)


def _name(group: Group, grouping: Grouping, tally: Tally) -> str:
    if group.name:
        return f"channel {group.name}" if grouping.by == "channel" else group.name
    return (tally.root or "(no folder)") if grouping.by == "folder" else "(empty)"


def _group(name: str, group: Group, labels: Sequence[str], failed: Sequence[str]) -> tuple[str, ...]:
    counts = [f"{n:,}" for n in (group.n, group.n_answered, group.n_abstained, *[group.n_failed] * len(failed))]
    shares = _shares(group.emotions, group.n_answered, labels)
    guesses = share_figures.merged(group.guesses, labels)
    marked = (
        f"{share.removesuffix(')')}+{n:,.0f}?)" if n and share != NONE else f"({n:,.0f}?)" if n else share
        for share, n in zip(shares, guesses, strict=True)
    )
    return (name, *counts, *marked)


def _joined(groups: Sequence[Group]) -> Group:
    emotions, guesses = Counter[str](), Counter[str]()
    for group in groups:
        emotions.update(group.emotions)
        guesses.update(group.guesses)
    return Group(
        name="",
        n=sum(group.n for group in groups),
        n_answered=sum(group.n_answered for group in groups),
        n_abstained=sum(group.n_abstained for group in groups),
        n_failed=sum(group.n_failed for group in groups),
        emotions=dict(emotions),
        guesses=dict(guesses),
    )


def _guesses(title: str, guesses: Sequence[Guess], tally: Tally) -> Table:
    rows = tuple(
        (
            f"{_inside(guess.path, tally)}{f', channel {guess.channel}' if guess.channel else ''}",
            guess.emotion + "?" * guess.abstain,
            f"{guess.probability:.1%}",
            f"{guess.second} {guess.second_probability:.1%}" if guess.second else NONE,
        )
        for guess in guesses
    )
    n = sum(map(sum, tally.histogram))
    return Table(
        caption=f"{title}: {len(rows)} of {n:,}", header=("file", "emotion", "probability", "second"), rows=rows
    )


def _inside(path: str, tally: Tally) -> str:
    root = tally.root
    return path[len(root) :].lstrip("/\\") if root and path.startswith(root) else path


def _abstained(tally: Tally) -> Table | None:
    unsure = tally.n_abstained - tally.n_no_speech
    found = [("probability below the threshold", unsure), ("no speech was found", tally.n_no_speech)]
    rows = tuple((why, f"{n:,}", _share(n, tally.n_rows)) for why, n in found if n)
    return Table(caption="Abstained", header=("reason", "rows", "share"), rows=rows) if rows else None


def _warnings(tally: Tally) -> Table | None:
    if not tally.warnings:
        return None
    rows = [
        (code, f"{n:,}", _share(n, tally.n_rows), WARNINGS.get(code, NONE))
        for code, n in list(tally.warnings.items())[:_N_KINDS]
    ]
    return Table(
        caption="Warnings; a row can have several", header=("code", "rows", "share", "meaning"), rows=tuple(rows)
    )


def _facts(tally: Tally) -> list[tuple[str, str]]:
    """Return what the table says about itself: name and value."""
    facts = [("Table", f"{tally.table}, {in_words.number(tally.n_rows, 'row')}")]
    if tally.root:
        facts.append(("Folder", tally.root))
    for model in tally.models:
        settled = f"settled on {in_words.number(model.settled_on, 'recording')}" if model.settled_on else "not settled"
        facts.append(("Model", f"{model.name} {model.version}, {settled}: {in_words.number(model.n, 'row')}"))
    facts.append(("Emotions", ", ".join(tally.labels[:_N_LABELS]) or "none"))
    if left_out := _left_out(tally):
        facts.append(("Restricted", f"to these {len(tally.labels)}; the model also has {', '.join(left_out)}"))
    return facts


def _left_out(tally: Tally) -> list[str]:
    """Return the emotions of an included model that the table does not have, because of `--emotions`."""
    names = {model.name for model in tally.models}
    known = [model_folder.bundled(name) for name in names if name in model_folder.bundled_names()]
    labels = [label for folder in known if folder is not None for label in model_folder.read(folder).config.labels]
    return [label for label in dict.fromkeys(labels) if label not in tally.labels]
