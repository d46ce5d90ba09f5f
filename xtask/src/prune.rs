//! The last step of a build: the module without what the host does not call.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use walrus::ir::{Visitor, VisitorMut, dfs_in_order, dfs_pre_order_mut};
use walrus::{Function, FunctionBuilder, FunctionId, FunctionKind, ImportKind, Module, ModuleConfig};
use xshell::Shell;

/// Writes the module to `out` with only the exports and imports that the list names, and without the code that these do not reach.
/// Fails if the module lacks a listed export.
pub(crate) fn prune(sh: &Shell, module_path: &Path, list_path: &Path, out: &Path) -> anyhow::Result<String> {
    let list = sh.read_file(list_path)?;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let lines = lines.filter(|line| !line.is_empty());
    let (methods, lines): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.contains("::"));
    let (imports, exports): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.contains('.'));
    // The names of functions are a fifth of the module, and only a trap would show them.
    let mut config = ModuleConfig::new();
    let mut module = config.generate_name_section(false).parse(&sh.read_binary_file(module_path)?)?;
    restrict_imports(&mut module, &imports)?;
    for line in methods {
        let (path, kept) = line.split_once('=').unwrap_or((line, ""));
        trap_methods(&mut module, path.trim(), &kept.split_whitespace().collect::<Vec<_>>())?;
    }

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

/// Makes traps of the methods of the traits in this module of a crate, except those that begin with one of these words. Fails
/// if any other function calls one by its name. A call through a table is not seen: the words must cover those. The compiler
/// keeps equal functions once, under one of their names; a method that makes a call to the host equals none that is kept.
fn trap_methods(module: &mut Module, path: &str, kept: &[&str]) -> anyhow::Result<()> {
    let name_of = |function: &Function| {
        function.name.as_deref().map(|name| format!("{:#}", rustc_demangle::demangle(name)))
    };
    let is_unused = |name: &str| {
        let parts = name.strip_prefix(path).and_then(|name| name.strip_prefix("::"));
        let method = parts.and_then(|parts| parts.split_once("::"));
        method.is_some_and(|(_, method)| !kept.iter().any(|word| method.starts_with(word)))
    };
    let functions = module.funcs.iter().filter_map(|function| Some((function.id(), name_of(function)?)));
    let unused: BTreeMap<_, _> = functions.filter(|(_, name)| is_unused(name)).collect();
    for (id, function) in module.funcs.iter_local().filter(|(id, _)| !unused.contains_key(id)) {
        let mut calls = Calls { of: &unused, found: None };
        dfs_in_order(&mut calls, function, function.entry_block());
        if let Some(called) = calls.found {
            let caller = name_of(module.funcs.get(id)).unwrap_or_default();
            bail!("{caller} calls {called}, which the list makes a trap");
        }
    }
    for id in unused.into_keys() {
        let (parameters, results) = module.types.params_results(module.funcs.get(id).ty());
        let (parameters, results) = (parameters.to_vec(), results.to_vec());
        let mut trap = FunctionBuilder::new(&mut module.types, &parameters, &results);
        trap.func_body().unreachable();
        let locals = parameters.iter().map(|kind| module.locals.add(*kind)).collect();
        module.funcs.get_mut(id).kind = FunctionKind::Local(trap.local_func(locals));
    }
    Ok(())
}

/// Looks for a call of one of these functions.
struct Calls<'a> {
    of: &'a BTreeMap<FunctionId, String>,
    found: Option<&'a str>,
}

impl Visitor<'_> for Calls<'_> {
    fn visit_function_id(&mut self, function: &FunctionId) {
        self.found = self.found.or(self.of.get(function).map(String::as_str));
    }
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
