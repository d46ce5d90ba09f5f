//! Rust's own part of the module: the standard library, and the C library that it calls.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use crate::files::at;

/// The toolchain's notices of its standard library and of the crates in it.
const NOTICES: &str = "share/doc/rust/COPYRIGHT-library.html";

/// The licence of the C library that Rust ships for this target, from that library's LICENSE.
pub(crate) const WASI_LIBC: &str =
    "(Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT) AND MIT AND BSD-2-Clause AND CC0-1.0";

/// The toolchain that built the module.
pub(crate) struct Toolchain {
    /// Its version, such as `1.95.0`.
    pub(crate) version: String,
    pub(crate) notices: Vec<u8>,
}

impl Toolchain {
    /// The toolchain of this work tree. Fails unless it is the one that the module names.
    pub(crate) fn of(compiler: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let compiler = compiler.ok_or("the module does not name the compiler that built it")?;
        let ours = rustc("--version")?;
        if ours.strip_prefix("rustc ") != Some(compiler) {
            return Err(
                format!("rustc {compiler} built the module, but this is {ours}: build it again").into()
            );
        }
        let path = PathBuf::from(rustc("--print=sysroot")?).join(NOTICES);
        let notices = std::fs::read(&path).map_err(|error| {
            format!("{}: a toolchain that rustup installed has this file", at(&path)(error))
        })?;
        let version = compiler.split(' ').next().unwrap_or(compiler).to_owned();
        Ok(Self { version, notices })
    }
}

fn rustc(question: &str) -> Result<String, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let answer = Command::new(rustc).arg(question).output().map_err(|error| format!("rustc: {error}"))?;
    if !answer.status.success() {
        return Err(format!("rustc {question}: {}", String::from_utf8_lossy(&answer.stderr)).into());
    }
    Ok(String::from_utf8(answer.stdout)?.trim().to_owned())
}
