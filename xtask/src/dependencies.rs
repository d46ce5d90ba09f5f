//! The crates that the filter is built from, and which of them are in the module.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, TargetKind};
use serde::Deserialize;

use crate::files::at;
use crate::project::{EDGE, Project};

const TARGET: &str = "wasm32-wasip1";

/// The crates of the registry that a build of the module uses; not those of its tests or of other targets.
pub(crate) struct Dependencies {
    /// All of them, in the order of names and versions.
    pub(crate) all: Vec<Dependency>,
    /// The purls of those that a package of this work tree names, in order.
    pub(crate) direct: BTreeSet<String>,
}

/// One crate of the registry.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: String,
    /// The SHA-256 of its package, from Cargo.lock.
    pub(crate) checksum: String,
    pub(crate) directory: PathBuf,
    /// Whether its code is in the module. Otherwise it only generates code during the build.
    pub(crate) is_linked: bool,
    /// The purls of the crates that it depends on, in order.
    pub(crate) dependencies: BTreeSet<String>,
}

impl Dependency {
    /// The package URL, which identifies the crate to every tool.
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
        let graph = Graph::of(&metadata, &built(project)?);

        let edge = metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == EDGE);
        let edge = &edge.ok_or_else(|| format!("the workspace has no package {EDGE}"))?.id;
        let linked = graph.reach(edge, |package| !is_macro(package));
        let (ours, theirs): (Vec<_>, Vec<_>) =
            graph.reach(edge, |_| true).into_iter().partition(|id| graph.is_ours(id));
        let all = theirs.into_iter().map(|id| graph.describe(id, linked.contains(id), &checksums));
        let mut all = all.collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(Self { all, direct: ours.into_iter().flat_map(|id| graph.dependencies_of(id)).collect() })
    }

    /// Those whose code is in the module.
    pub(crate) fn linked(&self) -> impl Iterator<Item = &Dependency> {
        self.all.iter().filter(|dependency| dependency.is_linked)
    }
}

/// The packages that a build of the module compiles, each as `NAME vVERSION`. Cargo's metadata have more: they add up the
/// features that all packages of the work tree ask for, their tests among them.
fn built(project: &Project) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let arguments = ["tree", "--locked", "--package", EDGE, "--target", TARGET, "--prefix", "none"];
    let mut tree = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.args(arguments).args(["--edges", "normal,build", "--format", "{p}"]).current_dir(&project.root);
    let output = tree.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect())
}

/// The packages that Cargo resolved, by their ids.
struct Graph<'a>(BTreeMap<&'a PackageId, (&'a Package, &'a Node)>);

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata, built: &BTreeSet<String>) -> Self {
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        let nodes: BTreeMap<_, _> = nodes.map(|node| (&node.id, node)).collect();
        let is_built = |package: &&Package| {
            package.source.is_none() || built.contains(&format!("{} v{}", package.name, package.version))
        };
        let packages = metadata.packages.iter().filter(is_built);
        Self(packages.filter_map(|p| nodes.get(&p.id).map(|node| (&p.id, (p, *node)))).collect())
    }

    /// The package and everything that it needs, through packages that pass the filter.
    fn reach(&self, from: &'a PackageId, filter: fn(&Package) -> bool) -> BTreeSet<&'a PackageId> {
        let (mut reached, mut waiting) = (BTreeSet::new(), vec![from]);
        while let Some(id) = waiting.pop() {
            let Some((package, node)) = self.0.get(id) else { continue };
            if filter(package) && reached.insert(id) {
                waiting.extend(normal(node));
            }
        }
        reached
    }

    /// Whether the package is one of this work tree.
    fn is_ours(&self, id: &PackageId) -> bool {
        self.0.get(id).is_some_and(|(package, _)| package.source.is_none())
    }

    fn describe(&self, id: &PackageId, is_linked: bool, checksums: &Checksums) -> Result<Dependency, String> {
        let (package, _) = self.0.get(id).ok_or_else(|| format!("Cargo does not describe {id}"))?;
        let (name, version) = (package.name.to_string(), package.version.to_string());
        let licence =
            package.license.as_ref().ok_or_else(|| format!("{name} {version} declares no licence"))?;
        let checksum = checksums.get(&(name.clone(), version.clone())).cloned().flatten();
        Ok(Dependency {
            // `/` is how `OR` was written before SPDX expressions.
            licence: licence.replace('/', " OR "),
            checksum: checksum.ok_or_else(|| format!("Cargo.lock has no checksum of {name} {version}"))?,
            directory: package.manifest_path.parent().map(Into::into).unwrap_or_default(),
            is_linked,
            dependencies: self.dependencies_of(id).collect(),
            name,
            version,
        })
    }

    /// The purls of the registry's crates that the package names.
    fn dependencies_of(&self, id: &PackageId) -> impl Iterator<Item = String> {
        let nodes = self.0.get(id).into_iter().flat_map(|(_, node)| normal(node));
        let packages = nodes.filter(|id| !self.is_ours(id)).filter_map(|id| self.0.get(id));
        packages.map(|(package, _)| purl(&package.name, &package.version.to_string()))
    }
}

/// Whether the package is a procedural macro, which runs in the compiler together with all that only it needs.
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
