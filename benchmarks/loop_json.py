"""The baseline for everything except images: reads the whole JSON file and writes it again."""

import json
import sys


def main(source: str, target: str) -> None:
    with open(source, encoding="utf-8") as file:
        records = json.load(file)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(records, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
