use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A fresh folder, removed when the value is dropped.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new().prefix("karat-test-").tempdir().expect("the machine has room for a temporary folder")
}

/// The root of the repository these tests were compiled in.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders under the root").to_owned()
}

/// A real data file by name, such as `credit_record.csv.zst`: in `KARAT_DATA`, else in an example's `data/` folder, else
/// in the folder `shared/data` beside the repository.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("KARAT_DATA").map(PathBuf::from);
    let examples = std::fs::read_dir(repository().join("examples")).into_iter().flatten().flatten();
    let beside = repository().parent().map(|parent| parent.join("shared/data"));
    let folders = given.into_iter().chain(examples.map(|example| example.path().join("data"))).chain(beside);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A copy of `examples/NAME` without what runs left in it (`.karat/`).
pub fn example_copy(name: &str) -> TempDir {
    let copy = temp_dir();
    let example = repository().join("examples").join(name);
    copy_folder(&example, copy.path()).unwrap_or_else(|error| panic!("copying {}: {error}", example.display()));
    copy
}

/// Copies a folder's files, leaving out every `.karat/`.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            std::fs::copy(entry.path(), target)?;
        } else if entry.file_name() != ".karat" {
            copy_folder(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The Python that has our oracles (pandas, LightGBM, scikit-learn), as `scripts/setup tests` installs it.
///
/// `None` where set-up has not run; a test that needs it fails under CI, which always sets it up.
pub fn test_python() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("KARAT_TEST_PYTHON")?);
    python.is_file().then_some(python)
}
