//! `xtask release`: the files of a release.

use std::collections::BTreeMap;
use std::process::Command;

use crate::commands::write_parts;
use crate::istio::Layout;
use crate::modules::{REVISION, committed, labelled, small, unlabelled};
use crate::support::{Scratch, VERSION, command, fail, in_repository, sha256, succeed, tree};

/// A release of the built module, with small commands.
pub(crate) fn release(scratch: &Scratch) -> BTreeMap<String, Vec<u8>> {
    succeed(&mut releasing(scratch, &committed()));
    tree(&scratch.path("dist").join(format!("tracewarden-{VERSION}")))
}

/// The step `release` of the module and small commands, with its arguments.
pub(crate) fn arguments(scratch: &Scratch, module: &[u8]) -> Vec<String> {
    write_parts(scratch);
    let module = scratch.write("module.wasm", module);
    let text = |name: &str| scratch.text(name);
    let mut arguments = vec!["release".to_owned(), module, text("dist")];
    for (option, path) in
        [("--command", "x86_64"), ("--command", "aarch64"), ("--share", "share"), ("--zig", "zig")]
    {
        arguments.extend([option.to_owned(), text(path)]);
    }
    arguments
}

fn releasing(scratch: &Scratch, module: &[u8]) -> Command {
    let arguments = arguments(scratch, module);
    command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_release_is_complete_and_its_checksums_hold() {
    let scratch = Scratch::new("release");
    let files = release(&scratch);
    let expected = [
        format!("CHANGELOG-{VERSION}.md"),
        "LICENSE".to_owned(),
        "LICENSES-rust.html".to_owned(),
        "LICENSES.txt".to_owned(),
        "SHA256SUMS".to_owned(),
        format!("tracewarden-{VERSION}-aarch64-linux.cdx.json"),
        format!("tracewarden-{VERSION}-aarch64-linux.tar.gz"),
        format!("tracewarden-{VERSION}-artifact.oci.tar"),
        format!("tracewarden-{VERSION}-compat.oci.tar"),
        format!("tracewarden-{VERSION}-x86_64-linux.cdx.json"),
        format!("tracewarden-{VERSION}-x86_64-linux.tar.gz"),
        format!("tracewarden-{VERSION}.cdx.json"),
        format!("tracewarden-{VERSION}.wasm"),
        format!("tracewarden-chart-{VERSION}.tgz"),
    ];
    assert!(files.keys().eq(&expected), "{:?}", files.keys());
    assert!(files[&format!("tracewarden-{VERSION}.wasm")] == committed());
    assert!(files["LICENSE"] == std::fs::read(in_repository("LICENSE")).expect("our licence"));

    let directory = scratch.path("dist").join(format!("tracewarden-{VERSION}"));
    let checked =
        succeed(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(directory));
    assert_eq!(
        checked.lines().filter(|line| line.ends_with(": OK")).count(),
        expected.len() - 1,
        "{checked}"
    );
}

#[test]
fn the_images_of_a_release_are_those_of_image() {
    let scratch = Scratch::new("same");
    let files = release(&scratch);
    succeed(&mut command(&["image", &scratch.text("module.wasm"), &scratch.text("images")]));
    for variant in ["artifact", "compat"] {
        let archive = &files[&format!("tracewarden-{VERSION}-{variant}.oci.tar")];
        tar::Archive::new(archive.as_slice()).unpack(scratch.path(variant)).expect("an archive");
        let unpacked = tree(&scratch.path(variant));
        assert!(unpacked == tree(&scratch.path("images").join(variant)), "{:?}", unpacked.keys());
        assert!(Layout::of(&unpacked).pull(&sha256(&committed())).is_err());
    }
}

#[test]
fn two_releases_are_the_same_bytes() {
    let [once, again] = ["once", "again"].map(|name| release(&Scratch::new(name)));
    assert!(
        once == again,
        "{:?}",
        once.keys().filter(|name| once.get(*name) != again.get(*name)).collect::<Vec<_>>()
    );
}

#[test]
fn refuses_a_module_that_nobody_can_build_again() {
    let scratch = Scratch::new("dirty");
    for (revision, expected) in [
        (format!("{REVISION}-dirty"), "built with uncommitted changes"),
        ("unknown".to_owned(), ": build it in a git clone"),
        (String::new(), ": build it in a git clone"),
        (REVISION[..12].to_owned(), "expected a commit"),
    ] {
        let error = fail(&mut releasing(&scratch, &small(&revision)));
        assert!(error.contains(expected), "{revision}: {error}");
        assert!(!scratch.path("dist").exists(), "{revision}");
    }
}

#[test]
fn refuses_a_module_of_another_compiler() {
    let scratch = Scratch::new("compiler");
    let build = format!(r#"{{"version":"{VERSION}","revision":"{REVISION}"}}"#);
    let old = b"\0\x21\x09producers\x01\x0cprocessed-by\x01\x05rustc\x011";
    for (module, expected) in [
        (small(REVISION), "does not name the compiler that built it"),
        (
            labelled(&[&unlabelled(), old.as_slice()].concat(), &build),
            "rustc 1 built the module, but this is rustc 1.",
        ),
    ] {
        let error = fail(&mut releasing(&scratch, &module));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_licences_are_of_the_crates_in_the_module() {
    let scratch = Scratch::new("licences");
    let text = String::from_utf8(release(&scratch).remove("LICENSES.txt").expect("licences")).expect("UTF-8");
    for name in ["bytes ", "prost ", "proxy-wasm ", "rand ", "regex-lite ", "serde_json ", "subtle "] {
        let entry = text.lines().find(|line| line.starts_with(&format!("  {name}"))).expect(name);
        let name_and_version = entry.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("\n{name_and_version}: LICENSE")), "{name_and_version}");
    }
    assert!(
        text.contains("Copyright (c) 2016-2017 Isis Agora Lovecruft, Henry de Valence"),
        "a text of subtle"
    );
    for only_at_build_time in ["prost-derive", "syn ", "serde_derive", "wasmtime"] {
        assert!(!text.contains(&format!("  {only_at_build_time}")), "{only_at_build_time}");
    }
}
