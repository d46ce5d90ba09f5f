//! The command in a release: one archive for each machine. Building it takes minutes, so these programs are made of a header
//! and what the release looks for; `make release` packs the built ones.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use flate2::read::GzDecoder;

use crate::modules::{REVISION, committed};
use crate::release::{arguments, release};
use crate::support::{Scratch, VERSION, command, fail, in_repository, succeed, tree};

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
const RISCV: u16 = 243;
const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;

/// What the release looks for in a command.
fn marks() -> String {
    let module = committed();
    let begin = module.windows(7).position(|window| window == b"1.95.0 ").expect("a compiler");
    let end = module[begin..].iter().position(|byte| *byte == b')').expect("its end");
    let compiler = String::from_utf8_lossy(&module[begin..=begin + end]);
    format!("\0tracewarden {VERSION} ({REVISION})\0rustc version {compiler}\0")
}

/// A 64-bit ELF program with one segment.
fn elf(machine: u16, segment: u32, text: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for number in [0_u64, 64, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for number in [64_u16, 56, 1, 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(segment.to_le_bytes());
    bytes.extend([0; 52]);
    bytes.extend(text.as_bytes());
    bytes
}

/// Writes the commands, what they have in `share`, and the parts of Zig that a release reads.
pub(crate) fn write_parts(scratch: &Scratch) {
    for directory in ["share/man/man1", "zig/lib/libc/musl/src/internal", "zig/lib/libunwind"] {
        std::fs::create_dir_all(scratch.path(directory)).expect("a directory");
    }
    scratch.write("x86_64", &elf(X86_64, LOAD, &marks()));
    scratch.write("aarch64", &elf(AARCH64, LOAD, &marks()));
    scratch.write("share/man/man1/tracewarden.1", b".TH tracewarden 1\n");
    scratch.write("zig/LICENSE", b"The licence of Zig\n");
    scratch.write("zig/lib/libc/musl/COPYRIGHT", b"The licence of musl\n");
    scratch.write("zig/lib/libc/musl/src/internal/version.h", b"#define VERSION \"1.2.5\"\n");
    scratch.write("zig/lib/libunwind/LICENSE.TXT", b"The licence of libunwind\n");
    let zig = scratch.write("zig/zig", b"#!/bin/sh\n[ \"$*\" = version ] && echo 0.17.1\n");
    std::fs::set_permissions(zig, std::fs::Permissions::from_mode(0o755)).expect("a program");
}

#[test]
fn an_archive_has_all_that_an_installation_needs_and_nothing_of_this_machine() {
    let scratch = Scratch::new("archive");
    let files = release(&scratch);
    for machine in ["x86_64", "aarch64"] {
        let name = format!("tracewarden-{VERSION}-{machine}-linux");
        let packed = &files[&format!("{name}.tar.gz")];
        let mut archive = tar::Archive::new(GzDecoder::new(packed.as_slice()));
        let mut modes = BTreeMap::new();
        for entry in archive.entries().expect("an archive") {
            let header = entry.expect("an entry").header().clone();
            let numbers = [header.uid(), header.gid(), header.mtime()].map(|n| n.expect("a number"));
            assert_eq!(numbers, [0, 0, 0]);
            modes
                .insert(header.path().expect("a path").display().to_string(), header.mode().expect("a mode"));
        }
        let expected = [
            ("bin/tracewarden", 0o755),
            ("share/doc/tracewarden/LICENSE", 0o644),
            ("share/doc/tracewarden/LICENSES-rust.html", 0o644),
            ("share/doc/tracewarden/LICENSES.txt", 0o644),
            ("share/man/man1/tracewarden.1", 0o644),
        ];
        assert_eq!(modes, expected.map(|(path, mode)| (format!("{name}/{path}"), mode)).into());

        let to = scratch.path(machine).with_extension("unpacked");
        tar::Archive::new(GzDecoder::new(packed.as_slice())).unpack(&to).expect("an archive");
        let unpacked = tree(&to.join(&name));
        assert!(unpacked["bin/tracewarden"] == std::fs::read(scratch.path(machine)).expect("the command"));
        assert!(unpacked["share/doc/tracewarden/LICENSE"] == files["LICENSE"]);
    }
}

#[test]
fn the_licences_are_of_the_crates_and_libraries_in_the_command() {
    let scratch = Scratch::new("command-licences");
    let packed = release(&scratch).remove(&format!("tracewarden-{VERSION}-x86_64-linux.tar.gz")).expect("it");
    tar::Archive::new(GzDecoder::new(packed.as_slice()))
        .unpack(scratch.path("unpacked"))
        .expect("an archive");
    let documents = format!("unpacked/tracewarden-{VERSION}-x86_64-linux/share/doc/tracewarden/LICENSES.txt");
    let text = std::fs::read_to_string(scratch.path(&documents)).expect("UTF-8");
    for name in ["clap ", "ring ", "rustls ", "serde-saphyr ", "ureq "] {
        let entry = text.lines().find(|line| line.starts_with(&format!("  {name}"))).expect(name);
        let name_and_version = entry.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        assert!(text.contains(&format!("\n{name_and_version}: LICENSE")), "{name_and_version}");
    }
    for (owner, licence) in
        [("musl 1.2.5", "of musl"), ("Zig's compiler_rt", "of Zig"), ("LLVM's libunwind", "of libunwind")]
    {
        assert!(text.contains(&format!("\n{owner}\n")) && text.contains(&format!("The licence {licence}\n")));
    }
    for only_at_build_time in ["cc ", "clap_derive ", "syn ", "regex-automata"] {
        assert!(!text.contains(&format!("\n  {only_at_build_time}")), "{only_at_build_time}");
    }
}

#[test]
fn refuses_what_is_no_static_command_of_this_commit() {
    let scratch = Scratch::new("no-command");
    let marks = marks();
    let table: &[(&str, Vec<u8>, &str)] = &[
        ("a script", b"#!/bin/sh\n".to_vec(), "expected a 64-bit ELF program"),
        ("half a header", elf(X86_64, LOAD, "")[..40].to_vec(), "expected a 64-bit ELF program"),
        ("cut off", elf(X86_64, LOAD, "")[..80].to_vec(), "program header"),
        (
            "another machine",
            elf(RISCV, LOAD, &marks),
            "expected a program for x86-64 or arm64, found one for ELF's machine 243",
        ),
        (
            "dynamic",
            elf(X86_64, INTERPRETER, &marks),
            "expected a static program, found one that asks for a dynamic linker",
        ),
        (
            "another commit",
            elf(X86_64, LOAD, &marks.replace(REVISION, "fedcba")),
            "expected a command of the module's revision",
        ),
        (
            "another compiler",
            elf(X86_64, LOAD, &marks.replace("rustc", "gcc")),
            "expected a command that rustc version 1.",
        ),
    ];
    for (name, bytes, expected) in table {
        let arguments = arguments(&scratch, &committed());
        scratch.write("aarch64", bytes);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let error = fail(&mut command(&arguments));
        assert!(error.contains(expected) && error.contains("aarch64: "), "{name}: {error}");
        assert!(!scratch.path("dist").exists(), "{name}");
    }
}

/// Helm, as `make manifests` installs it.
pub(crate) fn helm(scratch: &Scratch, arguments: &[&str]) -> String {
    let helm = std::env::var_os("HELM").unwrap_or_else(|| in_repository(".venv/helm-4.3.1/helm").into());
    let mut helm = std::process::Command::new(helm);
    succeed(helm.args(arguments).env("HOME", scratch.path("")).current_dir(in_repository("")))
}

#[test]
fn helm_renders_the_packed_chart_as_it_renders_the_directory() {
    let scratch = Scratch::new("chart");
    let chart = &release(&scratch)[&format!("tracewarden-chart-{VERSION}.tgz")];
    let packed = scratch.write("chart.tgz", chart);
    let values = ["--set", "image=oci://registry.invalid/tracewarden:1", "--set"];
    let digest = format!("digest={}", "0".repeat(64));
    let [of_archive, of_directory] = [packed.as_str(), "envoy/istio/chart"].map(|chart| {
        helm(&scratch, &[&["template", "tracewarden", chart], &values[..], &[digest.as_str()]].concat())
    });
    assert!(of_archive.contains("kind: WasmPlugin"), "{of_archive}");
    assert_eq!(of_archive, of_directory);
    assert!(helm(&scratch, &["show", "chart", &packed]).contains(&format!("version: {VERSION}")));
    assert!(helm(&scratch, &["show", "readme", &packed]).contains("# Tracewarden's chart"));
}
