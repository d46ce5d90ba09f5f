//! Which build this is: the package's version, and the revision in git that `make build` found. `-dirty` follows it
//! if the tree had changes. Outside of git it is `unknown`.

/// The line in the log.
pub(crate) const LINE: &str =
    concat!("tracewarden: version ", env!("CARGO_PKG_VERSION"), ", revision ", env!("TRACEWARDEN_REVISION"));

/// The gauge that is 1 while this build runs, with its labels.
pub(crate) const GAUGE: &str = concat!(
    "version=.=",
    env!("CARGO_PKG_VERSION"),
    ";.;revision=.=",
    env!("TRACEWARDEN_REVISION"),
    ";.;tracewarden_build_info"
);

#[cfg(target_family = "wasm")]
const JSON: &str = concat!(
    r#"{"version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","revision":""#,
    env!("TRACEWARDEN_REVISION"),
    r#""}"#
);

/// The same for tools that have the module and no host: a custom section of it.
#[cfg(target_family = "wasm")]
#[used]
#[unsafe(link_section = "tracewarden.build")]
static SECTION: [u8; JSON.len()] = match JSON.as_bytes().first_chunk() {
    Some(bytes) => *bytes,
    None => [0; JSON.len()],
};
