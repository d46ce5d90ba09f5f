//! Files in memory, before any of them is written.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::ensure;
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
    format!("{:x}", Sha256::digest(bytes))
}
