//! The crates that a program is built from, and which of them are in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand, NodeDep, Package};
use serde::Deserialize;
use xshell::{Shell, cmd};

/// Package URLs, which identify a crate to every tool.
type Purls = BTreeSet<String>;
/// The SHA-256 of each package, by its purl.
type Checksums = BTreeMap<String, String>;

/// What Cargo builds, and for which target.
#[derive(Clone, Copy)]
pub(crate) struct Built<'a> {
    pub(crate) package: &'a str,
    /// The target's triple.
    pub(crate) target: &'a str,
}

/// The crates of the registry that a build uses; not those of its tests or of other targets.
#[derive(Default)]
pub(crate) struct Dependencies {
    /// All of them, in the order of names and versions.
    pub(crate) all: Vec<Dependency>,
    /// The purls of those that a package of this work tree names, in order.
    pub(crate) direct: Purls,
}

/// One crate of the registry.
#[cfg_attr(test, derive(Default))]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) purl: String,
    pub(crate) licence: String,
    /// The SHA-256 of its package, from Cargo.lock.
    pub(crate) checksum: String,
    pub(crate) directory: PathBuf,
    /// Whether its code is in the program. Otherwise it only generates code during the build.
    pub(crate) is_linked: bool,
    /// The purls of the crates that it depends on, in order.
    pub(crate) dependencies: Purls,
}

impl Dependencies {
    /// Asks Cargo about the work tree that is the shell's directory.
    pub(crate) fn of(sh: &Shell, built: Built<'_>) -> anyhow::Result<Self> {
        let options = ["--locked", "--filter-platform", built.target].map(str::to_owned);
        let metadata = MetadataCommand::new().current_dir(sh.current_dir()).other_options(options).exec()?;
        // Cargo's metadata have more packages: they add up the features that all packages of the work tree ask for, their
        // tests among them.
        let linked = tree(sh, built, "normal,no-proc-macro")?;
        let built = tree(sh, built, "normal,build")?;
        let packages = metadata.packages.iter().map(|package| (&package.id, package));
        let packages: BTreeMap<_, _> = packages.filter(|(_, one)| built.contains(&purl_of(one))).collect();
        let checksums = checksums(sh)?;

        let mut dependencies = Self::default();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let Some(package) = packages.get(&node.id) else { continue };
            let needed = node.deps.iter().filter(is_built).filter_map(|dep| packages.get(&dep.pkg));
            let needed = needed.filter(|one| one.source.is_some()).map(|one| purl_of(one));
            if package.source.is_none() {
                dependencies.direct.extend(needed);
            } else {
                dependencies.all.push(Dependency::of(package, &checksums, &linked, needed.collect())?);
            }
        }
        dependencies.all.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(dependencies)
    }
}

impl Dependency {
    fn of(package: &Package, checksums: &Checksums, linked: &Purls, needed: Purls) -> anyhow::Result<Self> {
        let purl = purl_of(package);
        let licence = package.license.as_ref().with_context(|| format!("{purl} declares no licence"))?;
        let checksum = checksums.get(&purl).cloned();
        Ok(Self {
            name: package.name.to_string(),
            version: package.version.to_string(),
            // `/` is how `OR` was written before SPDX expressions.
            licence: licence.replace('/', " OR "),
            checksum: checksum.with_context(|| format!("Cargo.lock has no checksum of {purl}"))?,
            directory: package.manifest_path.parent().map(Into::into).unwrap_or_default(),
            is_linked: linked.contains(&purl),
            dependencies: needed,
            purl,
        })
    }
}

/// The packages that a build compiles, as far as the edges reach.
fn tree(sh: &Shell, built: Built<'_>, edges: &str) -> anyhow::Result<Purls> {
    let cargo = sh.var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let Built { package, target } = built;
    let tree =
        cmd!(sh, "{cargo} tree --locked --package {package} --target {target} --edges {edges} --prefix none");
    let text = tree.args(["--format", "{p}"]).read()?;
    Ok(text
        .lines()
        .filter_map(|line| {
            let (name, version) = line.split_once(" v")?;
            Some(purl(name, version.split(' ').next()?))
        })
        .collect())
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

fn checksums(sh: &Shell) -> anyhow::Result<Checksums> {
    let lock: Lock = toml::from_str(&sh.read_file("Cargo.lock")?)?;
    let locked = lock.package.into_iter();
    Ok(locked.filter_map(|one| Some((purl(&one.name, &one.version), one.checksum?))).collect())
}

fn purl_of(package: &Package) -> String {
    purl(&package.name, &package.version.to_string())
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn is_built(dependency: &&NodeDep) -> bool {
    dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
}
