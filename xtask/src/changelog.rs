//! The changes of one version.

use anyhow::Context;

/// The section of the version in the changelog. While there is none, the section Unreleased, with a note that says so.
/// Fails if the changelog has neither.
pub(crate) fn changes(changelog: &str, version: &str) -> anyhow::Result<String> {
    if let Some(section) = section(changelog, version) {
        return Ok(format!("# Tracewarden {version}\n\n{section}\n"));
    }
    let section = section(changelog, "Unreleased").with_context(|| {
        format!("CHANGELOG.md has no section `## {version}` and no section `## Unreleased`")
    })?;
    Ok(format!(
        "# Tracewarden {version}\n\nThe changelog has no section {version} yet; this is its section Unreleased.\n\n{section}\n"
    ))
}

/// The text below the heading that starts with the word.
fn section<'a>(changelog: &'a str, word: &str) -> Option<&'a str> {
    changelog.split("\n## ").skip(1).find_map(|section| {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        let first = heading.split_whitespace().next()?;
        (first.trim_matches(['[', ']']) == word).then(|| body.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "# Changelog\n\n## Unreleased\n\n- new\n\n\
        ## [0.2.0] - 2026-11-22\n\n- second\n\n### More\n\n- of it\n\n\
        ## 0.1.0\n\n- first\n";

    #[test]
    fn finds_the_section_of_a_version() {
        for (version, expected) in [
            ("0.1.0", "# Tracewarden 0.1.0\n\n- first\n"),
            ("0.2.0", "# Tracewarden 0.2.0\n\n- second\n\n### More\n\n- of it\n"),
        ] {
            assert_eq!(changes(CHANGELOG, version).unwrap(), expected);
        }
    }

    #[test]
    fn says_that_a_version_has_no_section() {
        let text = changes(CHANGELOG, "0.2").unwrap();
        assert!(text.contains("no section 0.2 yet") && text.ends_with("Unreleased.\n\n- new\n"), "{text}");
    }

    #[test]
    fn refuses_a_changelog_without_either() {
        let error = changes("# Changelog\n\n## 0.1.0\n\n- first\n", "0.3.0").unwrap_err().to_string();
        assert!(error.contains("`## 0.3.0`"), "{error}");
    }
}
