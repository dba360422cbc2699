"""The story of mlflow_client.py, told to Karat alone by the client of whichever Python runs this.

    python mlflow_story.py KARAT_ADDRESS

Prints as JSON the client's version and what it saw, step by step, with ids and times normalised.
"""
import json
import sys

from mlflow_client import Names, mlflow, story


def main(karat):
    names = Names()
    seen = [[what, names.hide(json.dumps(value, sort_keys=True, default=str))] for what, value in story(karat)]
    print(json.dumps({"version": mlflow.__version__, "seen": seen}))


if __name__ == "__main__":
    main("http://" + sys.argv[1])
