//! The crates that the filter is built from, and which of them are in the module.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, TargetKind};
use serde::Deserialize;

use crate::files::at;
use crate::project::Project;

const TARGET: &str = "wasm32-wasip1";

/// What the filter depends on, on the way to the module: neither its tests' crates nor another target's.
pub(crate) struct Dependencies {
    /// In the order of names and versions.
    pub(crate) all: Vec<Dependency>,
    /// The purls of those that the filter itself names.
    pub(crate) direct: Vec<String>,
}

/// One crate of the registry.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    /// The SHA-256 of its package, as Cargo.lock has it.
    pub(crate) checksum: String,
    pub(crate) directory: PathBuf,
    /// Whether its code is in the module; else it only writes code when the module is built.
    pub(crate) is_linked: bool,
    /// The purls of the crates that it depends on.
    pub(crate) dependencies: Vec<String>,
}

impl Dependency {
    /// The package URL, which names it for every tool.
    pub(crate) fn purl(&self) -> String {
        purl(&self.name, &self.version)
    }
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

impl Dependencies {
    pub(crate) fn of(project: &Project) -> Result<Self, Box<dyn Error>> {
        let metadata = MetadataCommand::new()
            .manifest_path(project.root.join("Cargo.toml"))
            .other_options(["--locked", "--filter-platform", TARGET].map(str::to_owned))
            .exec()?;
        let checksums = checksums(&project.root.join("Cargo.lock"))?;
        let graph = Graph::of(&metadata);

        let filter = &project.package.id;
        let linked = graph.reach(filter, |package| !is_macro(package));
        let mut all = graph
            .reach(filter, |_| true)
            .into_iter()
            .filter(|id| *id != filter)
            .map(|id| graph.describe(id, linked.contains(id), &checksums))
            .collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(Self { all, direct: graph.dependencies_of(filter) })
    }

    /// Those whose code is in the module.
    pub(crate) fn linked(&self) -> impl Iterator<Item = &Dependency> {
        self.all.iter().filter(|dependency| dependency.is_linked)
    }
}

/// What Cargo resolved, by the package.
struct Graph<'a>(BTreeMap<&'a PackageId, (&'a Package, &'a Node)>);

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let nodes: BTreeMap<_, _> = nodes.map(|node| (&node.id, node)).collect();
        let both = metadata
            .packages
            .iter()
            .filter_map(|package| nodes.get(&package.id).map(|node| (&package.id, (package, *node))));
        Self(both.collect())
    }

    /// A crate and all that it needs by way of crates that are let in.
    fn reach(&self, from: &'a PackageId, lets_in: fn(&Package) -> bool) -> BTreeSet<&'a PackageId> {
        let (mut reached, mut waiting) = (BTreeSet::new(), vec![from]);
        while let Some(id) = waiting.pop() {
            let Some((package, node)) = self.0.get(id) else { continue };
            if lets_in(package) && reached.insert(id) {
                waiting.extend(normal(node));
            }
        }
        reached
    }

    fn describe(&self, id: &PackageId, is_linked: bool, checksums: &Checksums) -> Result<Dependency, String> {
        let (package, _) = self.0.get(id).ok_or_else(|| format!("Cargo does not tell of {id}"))?;
        let (name, version) = (package.name.to_string(), package.version.to_string());
        let licence =
            package.license.as_ref().ok_or_else(|| format!("{name} {version} declares no licence"))?;
        let checksum = checksums.get(&(name.clone(), version.clone())).cloned().flatten();
        Ok(Dependency {
            // What `/` meant before SPDX expressions.
            licence: licence.replace('/', " OR "),
            checksum: checksum.ok_or_else(|| format!("Cargo.lock has no checksum of {name} {version}"))?,
            directory: package.manifest_path.parent().map(Into::into).unwrap_or_default(),
            is_linked,
            dependencies: self.dependencies_of(id),
            name,
            version,
        })
    }

    fn dependencies_of(&self, id: &PackageId) -> Vec<String> {
        let nodes = self.0.get(id).into_iter().flat_map(|(_, node)| normal(node));
        let mut purls: Vec<_> = nodes
            .filter_map(|id| self.0.get(id))
            .map(|(package, _)| purl(&package.name, &package.version.to_string()))
            .collect();
        purls.sort();
        purls
    }
}

/// A procedural macro runs in the compiler, and so does what it alone needs.
fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.is_kind(TargetKind::ProcMacro))
}

fn normal(node: &Node) -> impl Iterator<Item = &PackageId> {
    let is_normal = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Normal;
    node.deps.iter().filter(move |dep| dep.dep_kinds.iter().any(is_normal)).map(|dep| &dep.pkg)
}

type Checksums = BTreeMap<(String, String), Option<String>>;

fn checksums(path: &Path) -> Result<Checksums, Box<dyn Error>> {
    let lock: Lock = toml::from_str(&fs::read_to_string(path).map_err(at(path))?)?;
    Ok(lock.package.into_iter().map(|locked| ((locked.name, locked.version), locked.checksum)).collect())
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}
