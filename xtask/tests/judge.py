"""Judges a bill of materials: CycloneDX's own schema, in which unknown fields fail, and SPDX's licence expressions."""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing


def problems(text):
    bill = json.loads(text)
    error = JsonStrictValidator(SchemaVersion.from_version(bill["specVersion"])).validate_str(text)
    if error is not None:
        # The whole of it repeats the schema.
        yield str(error).partition("\n")[0]
    spdx = get_spdx_licensing()
    for component in [bill["metadata"]["component"], *bill["components"]]:
        for licence in component["licenses"]:
            for complaint in spdx.validate(licence["expression"]).errors:
                yield f"{component['name']}: {complaint}"


def main(path):
    with open(path, encoding="utf-8") as file:
        found = list(problems(file.read()))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
