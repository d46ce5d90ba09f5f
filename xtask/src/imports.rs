//! What a module imports: no more than its list says, and some of it only by way of a function of its own.

use std::collections::BTreeMap;

use walrus::ir::{VisitorMut, dfs_pre_order_mut};
use walrus::{FunctionId, ImportKind, Module};

/// Lets the module import only what is listed, each as `MODULE.NAME`. Another import becomes a function that traps. Every
/// call of one that is listed as `MODULE.NAME = EXPORT` goes to that exported function, except the function's own.
pub(crate) fn restrict(module: &mut Module, listed: &[&str]) -> walrus::Result<()> {
    let halves = listed.iter().map(|line| line.split_once('=').map_or((*line, None), |(a, b)| (a, Some(b))));
    let listed: BTreeMap<_, _> =
        halves.map(|(import, guard)| (import.trim(), guard.map(str::trim))).collect();
    let functions = module.imports.iter().filter_map(|import| match import.kind {
        ImportKind::Function(function) => Some((function, format!("{}.{}", import.module, import.name))),
        _ => None,
    });
    for (function, name) in functions.collect::<Vec<_>>() {
        match listed.get(name.as_str()) {
            Some(None) => {}
            Some(Some(guard)) => {
                let guard = module.exports.get_func(guard)?;
                redirect(module, function, guard);
            }
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
