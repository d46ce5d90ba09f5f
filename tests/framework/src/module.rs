//! Compiled modules.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use wasmtime::{Config, Engine, InstancePre, Linker};

use crate::{Host, imports};

/// A compiled filter, cheap to clone and shared by any number of VMs.
#[derive(Clone)]
pub struct Module {
    pub(crate) ready: InstancePre<Host>,
}

/// Why there is no module.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The bytes are no module, or not one that a proxy-wasm host can link.
    Invalid(String),
}

impl Module {
    /// Reads and compiles a `.wasm` file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
        Self::from_bytes(bytes)
    }

    /// Compiles a module in the binary format.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::compile(bytes.as_ref()).map_err(|error| Error::Invalid(format!("{error:#}")))
    }

    fn compile(bytes: &[u8]) -> wasmtime::Result<Self> {
        let engine = Engine::new(Config::new().consume_fuel(true))?;
        let module = wasmtime::Module::from_binary(&engine, bytes)?;
        let mut linker = Linker::new(&engine);
        imports::link(&mut linker)?;
        linker.define_unknown_imports_as_traps(&module)?;
        Ok(Self { ready: linker.instantiate_pre(&module)? })
    }

    /// The names it exports, sorted.
    pub fn exports(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.ready.module().exports().map(|export| export.name().to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// What it imports, sorted, each as `module.name`.
    pub fn imports(&self) -> Vec<String> {
        let imports = self.ready.module().imports();
        let mut names: Vec<_> =
            imports.map(|import| format!("{}.{}", import.module(), import.name())).collect();
        names.sort_unstable();
        names
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("exports", &self.exports()).field("imports", &self.imports()).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Invalid(reason) => write!(f, "not a filter: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
