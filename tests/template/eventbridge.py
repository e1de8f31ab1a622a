"""EventBridge's matching of patterns and its input transformer, as far as template.yaml uses them.

Source: EventBridge User Guide, "Comparison operators for use in event patterns" and "Input transformation". An operator
that isn't known here is an error, so that no pattern passes because of what isn't evaluated.
"""

import json
import re

ABSENT = object()


class Invalid(Exception):
    """EventBridge would refuse this pattern or template, or would not do what stands there."""


def matches(pattern, event):
    """Whether an event, as a dictionary, matches a pattern."""
    check(pattern)
    return all_match(pattern, event)


def all_match(pattern, event):
    return all(one_matches(name, wanted, event) for name, wanted in pattern.items())


def one_matches(name, wanted, event):
    if name == "$or":
        return any(all_match(one, event) for one in wanted)
    found = event.get(name, ABSENT) if isinstance(event, dict) else ABSENT
    if isinstance(wanted, dict):
        # Of a list of objects one has to have all that is asked for.
        inner = found if isinstance(found, list) else [{} if found is ABSENT else found]
        return any(all_match(wanted, one) for one in inner)
    values = found if isinstance(found, list) else [found]
    return any(leaf_matches(matcher, value) for matcher in wanted for value in values or [ABSENT])


def leaf_matches(matcher, value):
    if not isinstance(matcher, dict):
        return value is not ABSENT and type(value) is type(matcher) and value == matcher
    (operator, operand), = matcher.items()
    if operator == "exists":
        # Only of leaves: an object is none.
        return (value is not ABSENT and not isinstance(value, dict)) == operand
    if value is ABSENT:
        return False
    if operator == "anything-but":
        if isinstance(operand, dict):
            return not leaf_matches(operand, value)
        return value not in (operand if isinstance(operand, list) else [operand])
    if not isinstance(value, str):
        return False
    if operator == "prefix":
        return value.startswith(operand)
    if operator == "suffix":
        return value.endswith(operand)
    if operator == "wildcard":
        return re.fullmatch(".*".join(map(re.escape, operand.split("*"))), value, re.DOTALL) is not None
    raise Invalid(f"no operator that is known here: {operator}")


def check(pattern):
    """The form of a pattern. A field beside `$or` that is in it as well would count only once, as the one written last."""
    if not isinstance(pattern, dict) or not pattern:
        raise Invalid(f"not an object with fields: {pattern}")
    for name, wanted in pattern.items():
        if name == "$or":
            if not isinstance(wanted, list) or len(wanted) < 2:
                raise Invalid("$or needs two objects or more")
            beside = fields({key: one for key, one in pattern.items() if key != "$or"})
            for one in wanted:
                check(one)
                if twice := beside & fields(one):
                    raise Invalid(f"both beside $or and in it: {sorted(twice)}")
        elif isinstance(wanted, dict):
            check(wanted)
        elif not isinstance(wanted, list) or not wanted:
            raise Invalid(f"{name} is neither an object nor a list with something in it: {wanted}")
        else:
            for matcher in wanted:
                if isinstance(matcher, dict):
                    if len(matcher) != 1:
                        raise Invalid(f"{name}: not one operator: {matcher}")
                    leaf_matches(matcher, "")
                elif not isinstance(matcher, str):
                    raise Invalid(f"{name}: only text is compared here, not {matcher!r}")


def fields(pattern, path=()):
    """The paths of all leaves."""
    found = set()
    for name, wanted in pattern.items():
        if name == "$or":
            found |= {leaf for one in wanted for leaf in fields(one, path)}
        elif isinstance(wanted, dict):
            found |= fields(wanted, (*path, name))
        else:
            found.add((*path, name))
    return found


def length(pattern):
    """In characters, as EventBridge counts them: without spaces."""
    return len(json.dumps(pattern, separators=(",", ":"), ensure_ascii=False))


def look_up(path, event):
    """What a path such as `$.detail.eventName` finds."""
    if not re.fullmatch(r"\$(\.[A-Za-z0-9_-]+)+", path):
        raise Invalid(f"no path in dot notation: {path}")
    for name in path.split(".")[1:]:
        event = event.get(name, ABSENT) if isinstance(event, dict) else ABSENT
    return event


def transform(transformer, event):
    """The text that the target gets. A path that finds nothing leaves nothing in its place."""
    paths, template = transformer["InputPathsMap"], transformer["InputTemplate"]
    if len(paths) > 100 or any(name.startswith("aws.") for name in paths) or len(template) > 8192:
        raise Invalid("more than the input transformer takes")
    # One quoted string: JSON, and thus without a quotation mark or a line break of its own.
    text = json.loads(template)
    if not isinstance(text, str):
        raise Invalid("not a string in quotation marks")
    placeholders = re.findall(r"<([^<>]*)>", text)
    if unknown := set(placeholders) ^ set(paths):
        raise Invalid(f"either without a path or without a place: {sorted(unknown)}")
    values = {name: look_up(path, event) for name, path in paths.items()}
    return re.sub(r"<([^<>]*)>", lambda found: "" if values[found[1]] is ABSENT else values[found[1]], text)
