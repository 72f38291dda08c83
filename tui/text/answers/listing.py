"""Lists the sentences about a study in order of importance."""

from __future__ import annotations

from engine.study.metrics_record import group_onsets
from tui.text.answers import decided, growth, scores, spread, trust
from tui.text.answers.sentences import Answer, Found

MOST_ARMS = 100
"""Arms of which every two are compared: twice as many take four times as long."""

TOO_MANY = f"More than {MOST_ARMS} arms are not compared two by two: the table has the figures of each"


def list_answers(found: Found) -> list[Answer]:
    """Return what a study says: what puts it into doubt, what was found, then what a reader has to know beside."""
    if len(found.arms) > MOST_ARMS:
        return [Answer("note", (TOO_MANY,), "The time that comparing takes grows with their square.", "table")]
    sd = found.find("perplexity_sd" if found.is_text else "accuracy_sd")
    groups = found.group()
    # Where every network has few arms the question is which network is better, not which source counts.
    by_settings = spread.answer_settings(found)
    compares = len(groups) > 1 and max(map(len, groups)) <= 2
    families = list(group_onsets(found.arms).items())
    answers = [
        *trust.answer_alone(found),
        *decided.answer_decision(found),
        *growth.answer_growth(found),
        *(by_settings if compares else ()),
        *spread.answer_disagreement(found),
        *spread.answer_separation(found, found.find("disagreement")),
        *spread.answer_onsets(found, families),
        *spread.answer_separation(found, sd),
        *scores.answer_scores(found),
        *spread.answer_chance(found),
        *spread.answer_crossed(found),
        *spread.answer_ensembles(found),
        *trust.answer_nothing(found),
        *(() if compares else by_settings),
        *trust.answer_published(found),
        *trust.answer_control(found),
        *trust.answer_isolation(found),
        *trust.answer_devices(found),
        *trust.answer_losses(found),
        *trust.answer_sharing(found),
    ]
    order = {"warning": 0, "finding": 1, "note": 2}
    return sorted(answers, key=lambda answer: order[answer.weight])
