"""ministack, with conditions that know Fn::Split, Fn::Sub and Fn::Join, as CloudFormation's do.

ministack 1.5.33 resolves them in properties, but in conditions only Ref and Fn::Select. Here its own resolution is
applied to the conditions first.
"""

import sys

from ministack.app import main
from ministack.services.cloudformation import changesets, engine, handlers, stacks

TEXT = {"Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub"}
original = engine._evaluate_conditions


def evaluate(template, parameters):
    def literal(node):
        if isinstance(node, list):
            return [literal(one) for one in node]
        if not isinstance(node, dict):
            return node
        if TEXT & node.keys():
            return engine._resolve_refs(node, {}, parameters, {}, {}, "", "")
        return {key: literal(one) for key, one in node.items()}

    return original({**template, "Conditions": literal(template.get("Conditions", {}))}, parameters)


for module in (engine, changesets, handlers, stacks):
    assert module._evaluate_conditions is original
    module._evaluate_conditions = evaluate

if __name__ == "__main__":
    sys.exit(main())
