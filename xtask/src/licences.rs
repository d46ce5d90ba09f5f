//! The licences of the crates in a program, each with its text.

use std::fmt::Write;
use std::path::Path;

use anyhow::ensure;
use indexmap::IndexMap;
use xshell::Shell;

use crate::dependencies::Dependency;

/// The first letters of the files with a crate's licences and notices.
const NAMES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

const RULE: &str = "================================================================================";

/// The introduction and a list of the crates in a program, then every text once, below the names of what has it. Fails for a
/// crate without a text.
pub(crate) fn texts(
    sh: &Shell,
    introduction: &str,
    dependencies: &[Dependency],
    others: &[(String, String)],
) -> anyhow::Result<String> {
    let mut list = format!("{introduction} It contains these crates, whose texts follow:\n\n");
    let mut texts = IndexMap::<String, Vec<String>>::new();
    for Dependency { name, version, licence, directory, .. } in
        dependencies.iter().filter(|one| one.is_linked)
    {
        writeln!(list, "  {:<23} {licence}", format!("{name} {version}"))?;
        let (files, known) = (files(sh, directory)?, NAMES.join("…, "));
        ensure!(!files.is_empty(), "{name} {version} ({licence}) has no licence in its package: no {known}…");
        for (file, text) in files {
            texts.entry(text).or_default().push(format!("{name} {version}: {file}"));
        }
    }
    for (owner, text) in others {
        texts.entry(text.clone()).or_default().push(owner.clone());
    }
    for (text, owners) in texts {
        write!(list, "\n{RULE}\n{}\n{RULE}\n\n{text}\n", owners.join("\n"))?;
    }
    Ok(list)
}

/// The names and texts of a package's licence files, in the order of names.
fn files(sh: &Shell, directory: &Path) -> xshell::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in sh.read_dir(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && NAMES.iter().any(|known| name.to_uppercase().starts_with(known)) {
            let text = sh.read_binary_file(path)?;
            let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
            files.push((name, text.trim_matches('\n').to_owned()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str, directory: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            licence: "MIT".to_owned(),
            directory: Path::new(env!("CARGO_MANIFEST_DIR")).join(directory),
            is_linked: true,
            ..Dependency::default()
        }
    }

    #[test]
    fn a_text_that_several_have_is_listed_once() {
        let others = [("musl".to_owned(), "THE MUSL LICENCE".to_owned())];
        let text =
            texts(&Shell::new().unwrap(), "All.", &[dependency("a", ".."), dependency("b", "..")], &others)
                .unwrap();
        assert!(text.contains("\n  a 1.2.3                 MIT\n  b 1.2.3                 MIT\n"), "{text}");
        assert!(text.contains("\na 1.2.3: LICENSE\nb 1.2.3: LICENSE\n"), "{text}");
        assert!(text.contains("\nmusl\n") && text.contains("\n\nTHE MUSL LICENCE\n"), "{text}");
        assert_eq!(text.matches("TERMS AND CONDITIONS FOR USE").count(), 1);
    }

    #[test]
    fn a_crate_without_a_text_is_refused() {
        let error =
            texts(&Shell::new().unwrap(), "", &[dependency("bare", "tests")], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("bare 1.2.3 (MIT) has no licence in its package: no LICENSE…, "),
            "{error}"
        );
    }
}
