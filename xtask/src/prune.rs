//! The last step of a build: the module without what the host does not call.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::files::at;
use crate::imports;

/// Writes the module to `out` with only the exports and imports that the list names, and without the code that these do not reach.
/// Fails if the module lacks a listed export.
pub(crate) fn prune(module_path: &Path, list_path: &Path, out: &Path) -> Outcome {
    let list = fs::read_to_string(list_path).map_err(at(list_path))?;
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let (imports, exports): (Vec<&str>, Vec<&str>) =
        lines.filter(|line| !line.is_empty()).partition(|line| line.contains('.'));
    let wanted: BTreeSet<&str> = exports.into_iter().collect();
    let bytes = fs::read(module_path).map_err(at(module_path))?;
    // The names of functions are a fifth of the module, and only a trap would show them.
    let mut module = walrus::ModuleConfig::new().generate_name_section(false).parse(&bytes)?;
    imports::restrict(&mut module, &imports)?;

    let (kept, unwanted): (Vec<_>, Vec<_>) =
        module.exports.iter().partition(|export| wanted.contains(export.name.as_str()));
    let kept: BTreeSet<&str> = kept.into_iter().map(|export| export.name.as_str()).collect();
    // Envoy does not report a missing callback: it takes it for one that the module does not need.
    if let Some(missing) = wanted.difference(&kept).next() {
        let (module, list) = (module_path.display(), list_path.display());
        return Err(format!("{module} does not export {missing}, which {list} lists").into());
    }
    for export in unwanted.into_iter().map(|export| export.id()).collect::<Vec<_>>() {
        module.exports.delete(export);
    }
    walrus::passes::gc::run(&mut module);
    let pruned = module.emit_wasm();
    if fs::read(out).is_ok_and(|present| present == pruned) {
        return Ok(String::new());
    }
    // A host that loads the module meanwhile gets the old one or the new one, never a part of it.
    let draft = out.with_extension("wasm.draft");
    fs::write(&draft, pruned).map_err(at(&draft))?;
    fs::rename(&draft, out).map_err(at(out))?;
    Ok(String::new())
}

/// Writes the module to `out` whose text format the file has.
pub(crate) fn assemble(text: &Path, out: &Path) -> Outcome {
    fs::write(out, wat::parse_file(text)?).map_err(at(out))?;
    Ok(String::new())
}
