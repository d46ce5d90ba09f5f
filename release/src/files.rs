//! Files as values: by their path, before any of them is written.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

use sha2::{Digest, Sha256};

/// Octets by the path that they get, in the order of paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Writes a directory anew that this command wrote before, which `mark`, one of its files, shows.
pub(crate) fn replace(directory: &Path, mark: &str, files: &Files) -> Result<(), String> {
    if directory.join(mark).is_file() {
        fs::remove_dir_all(directory).map_err(at(directory))?;
    } else if directory.exists() {
        return Err(format!(
            "{} is there and has no {mark}: remove it, or name another directory",
            directory.display()
        ));
    }
    for (name, octets) in files {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(at(parent))?;
        fs::write(&path, octets).map_err(at(&path))?;
    }
    Ok(())
}

/// A tar archive of nothing but the files: no time, no owner, no mode of this machine.
pub(crate) fn archive(files: &Files) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, octets) in files {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(octets.len() as u64);
        archive.append_data(&mut header, name, octets.as_slice())?;
    }
    archive.into_inner()
}

/// The SHA-256 of octets, in hexadecimal digits.
pub(crate) fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// An error of a file, with its path.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
