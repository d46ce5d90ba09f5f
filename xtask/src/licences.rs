//! The licences of the crates in the module, each with its text.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::dependencies::Dependency;
use crate::files::at;
use crate::toolchain::WASI_LIBC;

/// The first letters of the files with a crate's licences and notices.
const NAMES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

const RULE: &str = "================================================================================";

/// A list of the crates, then every text once, below the names of the crates that have it. Fails for a crate without a text.
pub(crate) fn texts<'a>(
    dependencies: impl Iterator<Item = &'a Dependency>,
) -> Result<String, Box<dyn Error>> {
    let mut list = format!(
        "Tracewarden is under the licence in LICENSE. Its module contains Rust's standard library, whose notices are in\n\
         LICENSES-rust.html, and the C library below that: wasi-libc, {WASI_LIBC},\n\
         of which the toolchain brings no text. It contains these crates, whose texts follow:\n\n",
    );
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    for Dependency { name, version, licence, directory, .. } in dependencies {
        writeln!(list, "  {:<24}{licence}", format!("{name} {version}"))?;
        let files = files(directory)?;
        if files.is_empty() {
            let known = NAMES.join("…, ");
            return Err(
                format!("{name} {version} ({licence}) has no licence in its package: no {known}…").into()
            );
        }
        for (file, text) in files {
            let owner = format!("{name} {version}: {file}");
            match texts.iter_mut().find(|(known, _)| *known == text) {
                Some((_, owners)) => owners.push(owner),
                None => texts.push((text, vec![owner])),
            }
        }
    }
    for (text, owners) in texts {
        write!(list, "\n{RULE}\n{}\n{RULE}\n\n{text}\n", owners.join("\n"))?;
    }
    Ok(list)
}

/// The names and texts of a package's licence files, in the order of names.
fn files(directory: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && NAMES.iter().any(|known| name.to_uppercase().starts_with(known)) {
            let text = fs::read(&path).map_err(at(&path))?;
            files.push((
                name,
                String::from_utf8_lossy(&text).replace("\r\n", "\n").trim_matches('\n').to_owned(),
            ));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn dependency(name: &str, directory: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            licence: "MIT".to_owned(),
            checksum: String::new(),
            directory: Path::new(env!("CARGO_MANIFEST_DIR")).join(directory),
            is_linked: true,
            dependencies: BTreeSet::new(),
        }
    }

    #[test]
    fn a_text_that_several_have_is_listed_once() {
        let text = texts([dependency("a", ".."), dependency("b", "..")].iter()).unwrap();
        assert!(text.contains("\n  a 1.2.3                 MIT\n  b 1.2.3                 MIT\n"), "{text}");
        assert!(text.contains("\na 1.2.3: LICENSE\nb 1.2.3: LICENSE\n"), "{text}");
        assert_eq!(text.matches("TERMS AND CONDITIONS FOR USE").count(), 1);
    }

    #[test]
    fn a_crate_without_a_text_is_refused() {
        let error = texts([dependency("bare", "tests")].iter()).unwrap_err().to_string();
        assert!(
            error.starts_with("bare 1.2.3 (MIT) has no licence in its package: no LICENSE…, "),
            "{error}"
        );
    }
}
