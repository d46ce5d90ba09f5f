//! Files in memory, before any of them is written.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use sha2::{Digest, Sha256};

/// The bytes of each file by its relative path, in the order of paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Replaces a directory. Fails if the directory exists and lacks `mark`, the file by which it is known as our own.
pub(crate) fn replace(directory: &Path, mark: &str, files: &Files) -> Result<(), String> {
    if directory.join(mark).is_file() {
        fs::remove_dir_all(directory).map_err(at(directory))?;
    } else if directory.exists() {
        let directory = directory.display();
        return Err(format!("{directory} exists without {mark}: remove it, or name another directory"));
    }
    for (name, bytes) in files {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(at(parent))?;
        fs::write(&path, bytes).map_err(at(&path))?;
    }
    Ok(())
}

/// A tar archive of the files, without any time, owner or mode of this machine.
pub(crate) fn archive(files: &Files) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
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
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Adds the path to an error of a file.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
