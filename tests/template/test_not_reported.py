"""The alarm that compares AWS's recipe with the function, minute by minute, with the template's own numbers.

What the function reports is what it mailed, or stored with the time at which it is due: both come with the delivery, so
that how long an update waits changes nothing here. What is stored and not mailed in time has an alarm of its own.

What is modelled is CloudWatch as its User Guide describes it: "1 out of N" alarms over periods, evaluated
every minute, and a composite alarm with a suppressor, wait period and extension period ("Suppressing
composite alarm actions"). No emulator does that.
"""

import random

import pytest

from expansion import expand

DAY = 24 * 60
# Minutes from the recipe's data point to the function's: earlier by its minute of processing, or later
# by a delivery of three minutes, retries after one and two, and the minutes that metrics take.
SKEW = (-2, 10)


@pytest.fixture(scope="module")
def alarm():
    resources = expand()["Resources"]
    counted, reported, composite = (
        resources[name]["Properties"] for name in ("RecipeCounted", "FunctionReported", "NotReportedAlarm")
    )
    assert (counted["DatapointsToAlarm"], reported["DatapointsToAlarm"]) == (1, 1)

    def memory(alarm):
        (period,) = {one["MetricStat"]["Period"] for one in alarm["Metrics"] if "MetricStat" in one}
        return period // 60, alarm["EvaluationPeriods"]

    return Alarm(
        counted=memory(counted),
        reported=memory(reported),
        wait=composite["ActionsSuppressorWaitPeriod"] // 60,
        extension=composite["ActionsSuppressorExtensionPeriod"] // 60,
    )


class Alarm:
    """The composite alarm, with times in minutes; `counted` and `reported` are period and number of periods."""

    def __init__(self, counted, reported, wait, extension):
        self.counted, self.reported, self.wait, self.extension = counted, reported, wait, extension

    @staticmethod
    def states(points, memory, offset):
        """In which minutes an alarm is in ALARM: while one of its last periods has a data point."""
        period, periods = memory
        states = [False] * DAY
        for point in points:
            # It is seen from its own minute on, until its period is no longer one of the last.
            end = ((point + offset) // period + periods) * period - offset
            states[point:end] = [True] * (min(end, DAY) - point)
        return states

    def speaks(self, counts, reports, offset=0):
        """The minutes in which it tells somebody."""
        counted = self.states(counts, self.counted, offset)
        suppressed = self.states(reports, self.reported, offset)
        spoken, due = [], None
        for minute in range(1, DAY):
            if not counted[minute] or suppressed[minute]:
                due = None
            elif not counted[minute - 1]:
                due = minute + self.wait
            elif suppressed[minute - 1]:
                due = minute + self.extension
            if due is not None and minute >= due:
                spoken.append(minute)
                due = None
        return spoken


def sessions(chance):
    """The minutes of the records of some root sessions in a day, from one call to hours of them."""
    records = set()
    for _ in range(chance.randint(1, 4)):
        minute = chance.randrange(60, DAY - 400)
        for _ in range(chance.choice([1, 1, 2, 5, 40])):
            records.add(minute)
            minute = min(minute + chance.choice([0, 1, 3, 10, 20, 26, 31, 44, 50]), DAY - 120)
    return sorted(records)


def test_no_true_root_use_is_an_alarm(alarm):
    for seed in range(5000):
        chance = random.Random(seed)
        counts = sessions(chance)
        reports = [count + chance.randint(*SKEW) for count in counts]
        # Were FILL not to keep an alarm from looking further back, it must not cry wolf either.
        (period, count_periods), (_, report_periods) = alarm.counted, alarm.reported
        stretched = Alarm(
            (period, count_periods + chance.randint(0, 3)),
            (period, report_periods + chance.randint(0, 3)),
            alarm.wait,
            alarm.extension,
        )

        for each in (alarm, stretched):
            assert each.speaks(counts, reports, offset=chance.randrange(5)) == [], (seed, counts, reports)


@pytest.mark.parametrize("offset", range(5))
def test_root_use_without_a_report_is_an_alarm_after_the_wait(offset, alarm):
    assert alarm.speaks([600], [], offset) == [615]
    # A session of an hour is one alarm, not many.
    assert alarm.speaks(list(range(600, 660, 5)), [], offset) == [615]


def test_subscription_removed_long_after_a_report_is_an_alarm(alarm):
    assert alarm.speaks([500, 600], [502]) == [615]


def test_subscription_removed_in_a_long_session_is_an_alarm(alarm):
    # Reported until minute 600, then on without reports.
    counts = list(range(580, 680, 5))
    (spoken,) = alarm.speaks(counts, [count + 2 for count in counts if count <= 600])

    assert 600 + 45 <= spoken <= 600 + 45 + 5 + 15


def test_model_speaks_when_the_numbers_are_wrong(alarm):
    """What the numbers are for: with others the same model cries wolf, or stays silent."""
    hasty = Alarm(alarm.counted, alarm.reported, wait=5, extension=alarm.extension)
    assert hasty.speaks([600], [609]) != []
    over_too_soon = Alarm((5, 1), alarm.reported, alarm.wait, alarm.extension)
    assert over_too_soon.speaks([600], []) == []
    forgetful = Alarm(alarm.counted, (5, 1), alarm.wait, alarm.extension)
    assert forgetful.speaks([600], [602]) != []
