//! Which build this is: the package's version, and the revision in git that `make build` found, with `-dirty` behind it
//! where the tree had changes; else `unknown`.

/// The line in the log.
pub(super) const LINE: &str =
    concat!("tracewarden: version ", env!("CARGO_PKG_VERSION"), ", revision ", env!("TRACEWARDEN_REVISION"));

/// The gauge that is 1 where this build runs, with its labels.
pub(super) const GAUGE: &str = concat!(
    "version=.=",
    env!("CARGO_PKG_VERSION"),
    ";.;revision=.=",
    env!("TRACEWARDEN_REVISION"),
    ";.;tracewarden_build_info"
);

const JSON: &str = concat!(
    r#"{"version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","revision":""#,
    env!("TRACEWARDEN_REVISION"),
    r#""}"#
);

/// The same for tools that have the module and no host: a custom section of it.
#[used]
#[unsafe(link_section = "tracewarden.build")]
static SECTION: [u8; JSON.len()] = match JSON.as_bytes().first_chunk() {
    Some(octets) => *octets,
    None => [0; JSON.len()],
};
