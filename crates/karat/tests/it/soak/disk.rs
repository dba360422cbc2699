//! A disk of a few megabytes that can be filled to the last byte.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use karat_test_support::temp_dir;
use tempfile::TempDir;

/// Unmounted with the value.
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// `None`, and why on stdout, where this process may mount nothing.
    #[expect(clippy::print_stdout, reason = "what is skipped is skipped visibly")]
    pub fn mount(megabytes: u32) -> Option<Disk> {
        let dir = temp_dir();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .output();
        let problem = match output {
            Ok(output) if output.status.success() => return Some(Disk { dir }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("SKIPPED: a full disk needs a tmpfs, which only root may mount: {problem}");
        None
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves so many bytes free, rounded to pages.
    pub fn fill(&self, free: u64) {
        let path = self.ballast();
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let block = vec![1; 64 << 10];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        File::options().write(true).open(path).unwrap().set_len(length.saturating_sub(free)).unwrap();
    }

    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a killed process may still be letting go of its files.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
