//! The last step of a build: the module without what the host does not call.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use walrus::ir::{VisitorMut, dfs_pre_order_mut};
use walrus::{FunctionId, ImportKind, Module, ModuleConfig};
use xshell::Shell;

/// Writes the module to `out` with only the exports and imports that the list names, and without the code that these do not reach.
/// Fails if the module lacks a listed export.
pub(crate) fn prune(sh: &Shell, module_path: &Path, list_path: &Path, out: &Path) -> anyhow::Result<String> {
    let list = sh.read_file(list_path)?;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let (imports, exports): (Vec<&str>, Vec<&str>) =
        lines.filter(|line| !line.is_empty()).partition(|line| line.contains('.'));
    // The names of functions are a fifth of the module, and only a trap would show them.
    let mut config = ModuleConfig::new();
    let mut module = config.generate_name_section(false).parse(&sh.read_binary_file(module_path)?)?;
    restrict_imports(&mut module, &imports)?;

    for wanted in &exports {
        // Envoy does not report a missing callback: it takes it for one that the module does not need.
        let (module_path, list_path) = (module_path.display(), list_path.display());
        ensure!(
            module.exports.iter().any(|export| export.name == *wanted),
            "{module_path} does not export {wanted}, which {list_path} lists"
        );
    }
    let unwanted = module.exports.iter().filter(|export| !exports.contains(&export.name.as_str()));
    for export in unwanted.map(|export| export.id()).collect::<Vec<_>>() {
        module.exports.delete(export);
    }
    walrus::passes::gc::run(&mut module);
    let pruned = module.emit_wasm();
    if fs::read(out).is_ok_and(|present| present == pruned) {
        return Ok(String::new());
    }
    // A host that loads the module meanwhile gets the old one or the new one, never a part of it.
    let draft = out.with_extension("wasm.draft");
    sh.write_file(&draft, pruned)?;
    fs::rename(&draft, out).with_context(|| out.display().to_string())?;
    Ok(String::new())
}

/// Lets the module import only what is listed, each as `MODULE.NAME`. Another import becomes a function that traps. Every
/// call of one that is listed as `MODULE.NAME = EXPORT` goes to that exported function, except the function's own.
fn restrict_imports(module: &mut Module, listed: &[&str]) -> walrus::Result<()> {
    let halves =
        listed.iter().map(|line| line.split_once('=').map_or((*line, None), |(a, b)| (a, Some(b.trim()))));
    let listed: BTreeMap<_, _> = halves.map(|(import, guard)| (import.trim_end(), guard)).collect();
    let functions = module.imports.iter().filter_map(|import| match import.kind {
        ImportKind::Function(function) => Some((function, format!("{}.{}", import.module, import.name))),
        _ => None,
    });
    for (function, name) in functions.collect::<Vec<_>>() {
        match listed.get(name.as_str()) {
            Some(None) => {}
            Some(Some(guard)) => redirect(module, function, module.exports.get_func(guard)?),
            None => {
                module.replace_imported_func(function, |(body, _)| {
                    body.unreachable();
                })?;
            }
        }
    }
    Ok(())
}

fn redirect(module: &mut Module, from: FunctionId, to: FunctionId) {
    for (id, function) in module.funcs.iter_local_mut() {
        if id != to {
            let entry = function.entry_block();
            dfs_pre_order_mut(&mut Redirect { from, to }, function, entry);
        }
    }
}

struct Redirect {
    from: FunctionId,
    to: FunctionId,
}

impl VisitorMut for Redirect {
    fn visit_function_id_mut(&mut self, function: &mut FunctionId) {
        if *function == self.from {
            *function = self.to;
        }
    }
}
