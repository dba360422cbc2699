//! Which paths there are.

use super::FilesError;

/// Files that are still coming begin so; no path's name does.
pub const STAGED: &str = ".staged-";

/// The names of a path; the root has none.
pub fn parts(path: &str) -> Result<Vec<&str>, FilesError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |problem| Err(FilesError::Path { path: path.to_owned(), problem });
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts {
        match *part {
            "" => return wrong("a name in it is empty"),
            "." | ".." => return wrong("it holds `.` or `..`"),
            part if part.starts_with(STAGED) => return wrong("a name in it begins like a file that is still coming"),
            part if part.contains('\\') => return wrong("it holds a backslash"),
            part if part.contains(|c: char| c.is_ascii_control()) => return wrong("it holds a control character"),
            part if part.len() > 255 => return wrong("a name in it is longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(parts)
}

/// As [`parts`], of what is a file's or a folder's, not the root.
pub fn named(path: &str) -> Result<Vec<&str>, FilesError> {
    match path {
        "" => Err(FilesError::Path { path: String::new(), problem: "it is empty" }),
        path => parts(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_names_and_nothing_else() {
        for good in ["", "a", "1/ab/artifacts/a b..txt", "..a/ü", ".hidden", "a~b/c%d:e"] {
            assert!(parts(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        let bad =
            ["..", "a/../b", "/etc/passwd", "a//b", "a/", "./a", "a\\b", "a\0b", "a\nb", ".staged-1", "a/.staged-x"];
        for bad in bad.into_iter().chain([long.as_str()]) {
            assert!(matches!(parts(bad), Err(FilesError::Path { .. })), "{bad:?}");
        }
        assert!(named("").is_err());
    }
}
