//! Modules to pack: the built one, and small ones.

use crate::support::{VERSION, in_repository, require};

pub(crate) const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
const BUILD_SECTION: &[u8] = b"tracewarden.build";
const CUSTOM: u8 = 0;
const EXPORT: u8 = 7;

/// The built module with the revision of a commit: a work tree usually has uncommitted changes during development.
pub(crate) fn committed() -> Vec<u8> {
    labelled(&built(), &build_of(REVISION))
}

pub(crate) fn built() -> Vec<u8> {
    let path = require(in_repository("target/tracewarden.wasm"), "run `make build`");
    std::fs::read(path).expect("the module")
}

/// The smallest module that passes for a proxy-wasm module.
pub(crate) fn small(revision: &str) -> Vec<u8> {
    labelled(&unlabelled(), &build_of(revision))
}

/// Large enough for compressors to differ, and always the same.
pub(crate) fn compressible() -> Vec<u8> {
    let padding = (0..20_000_u32)
        .flat_map(|n| section(CUSTOM, &[string(b"n"), (n * n % 4093).to_le_bytes().to_vec()].concat()));
    let module: Vec<u8> = unlabelled().into_iter().chain(padding).collect();
    labelled(&module, r#"{"version":"1.2.3","revision":""}"#)
}

pub(crate) fn unlabelled() -> Vec<u8> {
    let export = [vec![1], string(b"proxy_abi_version_0_2_1"), vec![0, 0]].concat();
    [b"\0asm\x01\0\0\0".to_vec(), section(EXPORT, &export)].concat()
}

/// The module with that build section instead of its own.
pub(crate) fn labelled(module: &[u8], build: &str) -> Vec<u8> {
    let (header, mut rest) = module.split_at(8);
    let mut result = header.to_vec();
    while !rest.is_empty() {
        let (length, prefix) = leb128(&rest[1..]);
        let (section, after) = rest.split_at(1 + prefix + length);
        let content = &section[1 + prefix..];
        if !(section[0] == CUSTOM && content.starts_with(&string(BUILD_SECTION))) {
            result.extend(section);
        }
        rest = after;
    }
    result.extend(section(CUSTOM, &[string(BUILD_SECTION), build.as_bytes().to_vec()].concat()));
    result
}

fn build_of(revision: &str) -> String {
    format!(r#"{{"version":"{VERSION}","revision":"{revision}"}}"#)
}

/// A section of less than 128 bytes.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], string(content)].concat()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).ok().filter(|length| *length < 128).expect("less than 128 bytes");
    [vec![length], bytes.to_vec()].concat()
}

/// An unsigned number, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> (usize, usize) {
    let last = bytes.iter().position(|byte| byte & 0x80 == 0).expect("an end");
    let number = bytes[..=last].iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f));
    (number, last + 1)
}
