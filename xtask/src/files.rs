//! Files in memory, before any of them is written.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use anyhow::ensure;
use flate2::{Compression, read::GzEncoder};
use sha2::{Digest, Sha256};
use xshell::Shell;

/// The bytes of each file by its relative path, in the order of paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Replaces a directory. Fails if the directory exists and lacks `mark`, the file by which it is known as our own.
pub(crate) fn replace(sh: &Shell, directory: &Path, mark: &str, files: &Files) -> anyhow::Result<()> {
    if directory.join(mark).is_file() {
        sh.remove_path(directory)?;
    }
    let path = directory.display();
    ensure!(!directory.exists(), "{path} exists without {mark}: remove it, or name another directory");
    for (name, bytes) in files {
        sh.write_file(directory.join(name), bytes)?;
    }
    Ok(())
}

/// Every file below a directory, by its path from there.
pub(crate) fn below(sh: &Shell, directory: &Path) -> anyhow::Result<Files> {
    // The shell lists absolute paths.
    let directory = sh.current_dir().join(directory);
    let (mut files, mut waiting) = (Files::new(), vec![directory.clone()]);
    while let Some(next) = waiting.pop() {
        for path in sh.read_dir(next)? {
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(&directory)?.to_string_lossy().into_owned();
                files.insert(name, sh.read_binary_file(&path)?);
            }
        }
    }
    Ok(files)
}

/// The files in a directory of that name.
pub(crate) fn within(directory: &str, files: Files) -> Files {
    files.into_iter().map(|(name, bytes)| (format!("{directory}/{name}"), bytes)).collect()
}

/// The bytes as gzip packs them. Neither a name nor a time is in the header.
pub(crate) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    GzEncoder::new(bytes, Compression::best()).read_to_end(&mut packed)?;
    Ok(packed)
}

/// A tar archive of the files, without any time, owner or mode of this machine. What is in a directory `bin` can be run.
pub(crate) fn archive(files: &Files) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        let is_program = Path::new(name).parent().is_some_and(|directory| directory.ends_with("bin"));
        header.set_mode(if is_program { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()
}

/// The SHA-256 of the bytes, in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_directory_is_listed_too() {
        let files = below(&Shell::new().unwrap(), Path::new("tests")).unwrap();
        assert!(
            files.contains_key("judge.py") && files.contains_key("packages/main.rs"),
            "{:?}",
            files.keys()
        );
    }
}
