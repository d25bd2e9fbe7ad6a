"""The list of probes is the models' own."""

from __future__ import annotations

import re
from pathlib import Path

from parity.model.probes import PROBES, probes_of
from parity.model.settings import BrokerModel, ModelSettings, ProducerModel

ROOT = Path(__file__).parents[2]


def test_the_list_is_what_the_models_say():
    """Every probe in the source is listed, and nothing else is."""
    text = "".join(path.read_text() for path in sorted((ROOT / "parity" / "model").glob("*.py")))
    assert set(re.findall(r'(?:reached|rarely)\(\s*"([^"]+)"', text)) == PROBES


def test_probes_of_one_type_of_queue_are_in_that_ones_model():
    outbox = ProducerModel(outbox=True)
    of = {
        name: probes_of(ModelSettings(broker=BrokerModel(queue_type=name), producer=outbox))
        for name in ("classic", "quorum")
    }
    assert of["classic"] | of["quorum"] == PROBES
    for name, other in (("classic", "quorum"), ("quorum", "classic")):
        text = (ROOT / "parity" / "model" / f"{name}.py").read_text()
        own = set(re.findall(r'(?:reached|rarely)\(\s*"([^"]+)"', text))
        assert of[name] - of[other] == own
