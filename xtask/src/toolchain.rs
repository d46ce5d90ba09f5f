//! Rust's own part of the module: the standard library, and the C library that it calls.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use xshell::{Shell, cmd};

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
    pub(crate) fn of(sh: &Shell, compiler: Option<&str>) -> anyhow::Result<Self> {
        let compiler = compiler.context("the module does not name the compiler that built it")?;
        let rustc = sh.var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let ours = cmd!(sh, "{rustc} --version").read()?;
        ensure!(
            ours.strip_prefix("rustc ") == Some(compiler),
            "rustc {compiler} built the module, but this is {ours}: build it again"
        );
        let path = PathBuf::from(cmd!(sh, "{rustc} --print=sysroot").read()?).join(NOTICES);
        let notices =
            sh.read_binary_file(path).context("a toolchain that rustup installed has its notices")?;
        let version = compiler.split(' ').next().unwrap_or(compiler).to_owned();
        Ok(Self { version, notices })
    }
}
