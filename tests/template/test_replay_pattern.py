"""`make replay` reads what the template subscribes to: told from the stack's parameters, not from the subscription."""

import sys

from expansion import ROOT, expand, source
from test_combinations import CHOICES

sys.path.insert(0, str(ROOT / "operations"))
import replay  # noqa: E402


def test_replay_asks_for_what_the_template_subscribes_to():
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in source()["Parameters"].items()}
    patterns = set()
    for name, chosen in CHOICES["rules"].items():
        subscription = expand(**chosen)["Resources"]["Subscription"]["Properties"]
        assert replay.subscription_pattern(defaults | chosen) == subscription["FilterPattern"], name
        patterns.add(subscription["FilterPattern"])
    assert len(patterns) == 2
