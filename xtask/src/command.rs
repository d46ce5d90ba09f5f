//! The command as a static program for Linux, with what an installation of it has: manual pages, completions, licences.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use object::elf::PT_INTERP;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use xshell::{Shell, cmd};

use crate::dependencies::{Built, Dependencies};
use crate::files::{Files, archive, gzip, within};
use crate::module::Module;
use crate::project::{NAME, TOOL};

/// A built command.
pub(crate) struct Command {
    pub(crate) bytes: Vec<u8>,
    /// The machine that it runs on, as `uname -m` prints it.
    pub(crate) machine: &'static str,
}

impl Command {
    /// Reads a program, and fails unless it is static, and of the module's commit and compiler.
    pub(crate) fn read(sh: &Shell, path: &Path, module: &Module) -> anyhow::Result<Self> {
        Self::parse(sh.read_binary_file(path)?, module).with_context(|| path.display().to_string())
    }

    fn parse(bytes: Vec<u8>, module: &Module) -> anyhow::Result<Self> {
        let header = elf::FileHeader64::<Endianness>::parse(bytes.as_slice())
            .context("expected a 64-bit ELF program, which `make commands` builds")?;
        let endian = header.endian()?;
        let machine = match header.e_machine(endian) {
            elf::EM_X86_64 => "x86_64",
            elf::EM_AARCH64 => "aarch64",
            other => bail!("expected a program for x86-64 or arm64, found one for ELF's machine {other}"),
        };
        let segments = header.program_headers(endian, bytes.as_slice())?;
        ensure!(
            segments.iter().all(|segment| segment.p_type(endian) != PT_INTERP),
            "expected a static program, found one that asks for a dynamic linker: build it with `make commands`"
        );
        let revision = &module.revision;
        ensure!(
            contains(&bytes, revision),
            "expected a command of the module's revision {revision}, which is not in it: build both again"
        );
        let compiler = format!("rustc version {}", module.compiler.as_deref().unwrap_or_default());
        ensure!(contains(&bytes, &compiler), "expected a command that {compiler} built: build it again");
        Ok(Self { bytes, machine })
    }

    /// The triple of the target that it is built for.
    pub(crate) fn target(&self) -> String {
        format!("{}-unknown-linux-musl", self.machine)
    }

    /// The crates that it is built from.
    pub(crate) fn dependencies(&self, sh: &Shell) -> anyhow::Result<Dependencies> {
        Dependencies::of(sh, Built { package: TOOL, target: &self.target() })
    }

    /// An archive to unpack in a directory such as `/usr/local`, below one directory of its own.
    pub(crate) fn packed(&self, name: &str, share: &Files, documents: Files) -> anyhow::Result<Vec<u8>> {
        let mut files = within("share", share.clone());
        files.extend(within(&format!("share/doc/{NAME}"), documents));
        files.insert(format!("bin/{NAME}"), self.bytes.clone());
        Ok(gzip(&archive(&within(name, files))?)?)
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len().max(1)).any(|window| window == text.as_bytes())
}

/// The parts of Zig that are linked into a static program.
pub(crate) struct Zig {
    pub(crate) version: String,
    /// The version of musl, the C library.
    pub(crate) musl: String,
    /// The texts of the licences, each below the name of what it is for.
    pub(crate) licences: Vec<(String, String)>,
}

impl Zig {
    /// Reads them from the directory that Zig is installed in.
    pub(crate) fn read(sh: &Shell, directory: &Path) -> anyhow::Result<Self> {
        let text = |name: &str| anyhow::Ok(sh.read_file(directory.join(name))?.trim_matches('\n').to_owned());
        let header = text("lib/libc/musl/src/internal/version.h")?;
        let musl = header.split('"').nth(1).with_context(|| format!("no version of musl in {header:?}"))?;
        let program = directory.join("zig");
        let licences = vec![
            (format!("musl {musl}"), text("lib/libc/musl/COPYRIGHT")?),
            ("Zig's compiler_rt".to_owned(), text("LICENSE")?),
            ("LLVM's libunwind".to_owned(), text("lib/libunwind/LICENSE.TXT")?),
        ];
        Ok(Self { version: cmd!(sh, "{program} version").read()?, musl: musl.to_owned(), licences })
    }
}
