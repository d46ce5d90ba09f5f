//! `xtask image`: the image layouts that it writes.

use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::istio::Layout;
use crate::modules::{REVISION, built, committed, compressible, labelled, small, unlabelled};
use crate::support::{Scratch, VERSION, command, fail, in_repository, sha256, succeed, tree};

/// The digests of the artifact and of the compatible image, as the command prints them.
pub(crate) fn printed(text: &str) -> [String; 2] {
    ["artifact", "compat"].map(|variant| {
        let line =
            text.lines().find(|line| line.starts_with("sha256:") && line.ends_with(&format!("/{variant}")));
        let line = line.unwrap_or_else(|| panic!("no digest of {variant} in:\n{text}"));
        line.split(' ').next().unwrap_or_default().to_owned()
    })
}

#[test]
fn the_images_hold_the_built_module_and_name_it() {
    let scratch = Scratch::new("image");
    let module = committed();
    let (path, images) = (scratch.write("module.wasm", &module), scratch.text("images"));
    let text = succeed(&mut command(&["image", &path, &images]));
    assert!(text.contains(&format!("sha256:{}  {path}\n", sha256(&module))), "{text}");

    let mut annotations = json!({
        "org.opencontainers.image.title": "tracewarden",
        "org.opencontainers.image.description":
            "A proxy-wasm filter for Envoy and Istio that keeps W3C trace context intact \
             and counts where it is lost or corrupted.",
        "org.opencontainers.image.version": VERSION,
        "org.opencontainers.image.revision": REVISION,
        "org.opencontainers.image.licenses": "Apache-2.0",
    });
    for (variant, digest) in ["artifact", "compat"].into_iter().zip(printed(&text)) {
        let files = tree(&scratch.path("images").join(variant));
        let layout = Layout::of(&files);
        let hexadecimal = digest.strip_prefix("sha256:").expect("a SHA-256");
        assert_eq!(layout.pull(hexadecimal).as_ref(), Ok(&module), "{variant}");
        assert!(text.contains(&format!("sha256: {hexadecimal}}}")), "what the WasmPlugin says: {text}");
        assert_eq!(Layout::tag(&files), VERSION, "{variant}");
        assert_eq!(layout.manifest["annotations"], annotations, "{variant}");
        annotations["module.wasm.image/variant"] = json!("compat");
    }
}

#[test]
fn the_artifact_names_the_runtime_as_its_specification_says() {
    let scratch = Scratch::new("artifact");
    succeed(&mut command(&[
        "image",
        &scratch.write("module.wasm", &small(REVISION)),
        &scratch.text("images"),
    ]));
    let layout = Layout::read(&scratch.path("images/artifact"));
    let config = &layout.manifest["config"];
    assert_eq!(config["mediaType"], "application/vnd.module.wasm.config.v1+json");
    let [runtime, module] = [&layout.manifest["layers"][0], &layout.manifest["layers"][1]];
    let title = "org.opencontainers.image.title";
    assert_eq!([&runtime["digest"], &runtime["mediaType"]], [&config["digest"], &config["mediaType"]]);
    assert_eq!(runtime["annotations"], json!({ title: "runtime-config.json" }));
    assert_eq!(module["annotations"], json!({ title: "plugin.wasm" }));
    assert_eq!(
        serde_json::from_slice::<Value>(layout.blob(runtime)).expect("JSON"),
        json!({ "type": "envoy_proxy", "abiVersions": ["v0.2.1"], "config": { "rootIds": [] } })
    );
}

#[test]
fn the_compatible_image_has_one_file_that_is_nobodys() {
    let scratch = Scratch::new("compat");
    let module = small(REVISION);
    succeed(&mut command(&["image", &scratch.write("module.wasm", &module), &scratch.text("images")]));
    let layout = Layout::read(&scratch.path("images/compat"));
    let [layer] = layout.manifest["layers"].as_array().expect("layers").as_slice() else {
        panic!("one layer")
    };

    let mut unpacked = Vec::new();
    GzDecoder::new(layout.blob(layer)).read_to_end(&mut unpacked).expect("gzip");
    let config: Value = serde_json::from_slice(layout.blob(&layout.manifest["config"])).expect("JSON");
    let diff_ids = [format!("sha256:{}", sha256(&unpacked))];
    assert_eq!(config["rootfs"], json!({ "type": "layers", "diff_ids": diff_ids }));
    assert_eq!([&config["os"], &config["architecture"]], ["wasip1", "wasm"]);

    let mut archive = tar::Archive::new(unpacked.as_slice());
    let mut entries = archive.entries().expect("an archive").map(|entry| entry.expect("an entry"));
    let header = entries.next().expect("a file").header().clone();
    assert!(entries.next().is_none());
    assert_eq!(header.path().expect("a path").to_str(), Some("plugin.wasm"));
    let numbers = [header.uid(), header.gid(), header.mtime(), header.mode().map(u64::from), header.size()];
    assert_eq!(numbers.map(|n| n.expect("a number")), [0, 0, 0, 0o644, module.len() as u64]);
}

#[test]
fn the_images_do_not_depend_on_where_and_when_they_are_made() {
    let scratch = Scratch::new("again");
    let [here, there] = ["here", "there"].map(|name| {
        std::fs::create_dir_all(scratch.path(name)).expect("a directory");
        scratch.write(&format!("{name}/module.wasm"), &committed())
    });
    let old = SystemTime::now() - Duration::from_secs(400_000_000);
    File::options().append(true).open(&there).and_then(|file| file.set_modified(old)).expect("an old file");

    succeed(command(&["image", &here, &scratch.text("here/images")]).env("TZ", "UTC"));
    succeed(
        Command::new("sh")
            .args(["-c", r#"umask 077 && exec "$0" "$@""#, env!("CARGO_BIN_EXE_xtask"), "image"])
            .args([&there, &scratch.text("there/images")])
            .current_dir(in_repository("docs"))
            .envs([("TZ", "Pacific/Chatham"), ("LC_ALL", "tr_TR.UTF-8"), ("SOURCE_DATE_EPOCH", "1")]),
    );
    let [here, there] = ["here/images", "there/images"].map(|name| tree(&scratch.path(name)));
    assert!(here.len() >= 10, "{:?}", here.keys());
    assert!(here == there, "{:?} {:?}", here.keys(), there.keys());
}

#[test]
fn the_bytes_are_these_on_every_machine() {
    let scratch = Scratch::new("bytes");
    let module = compressible();
    succeed(&mut command(&["image", &scratch.write("module.wasm", &module), &scratch.text("images")]));
    let files = tree(&scratch.path("images/compat"));
    let layout = Layout::of(&files);
    // Another compressor, or another release of it, packs differently: then this digest changes, and those of all images.
    assert_eq!(
        layout.manifest["layers"][0]["digest"],
        "sha256:990ced502c37544a27816622e865446911bb9e7dc45da4e3d25ba87769b6eac8"
    );
    let manifest = &files[&layout.digest.replace(':', "/").replace("sha256", "blobs/sha256")];
    assert!(manifest.starts_with(br#"{"annotations":{"module.wasm.image/variant":"#), "keys are in order");
}

#[test]
fn another_module_leaves_nothing_of_the_one_before() {
    let scratch = Scratch::new("before");
    let images = scratch.text("images");
    succeed(&mut command(&["image", &scratch.write("a.wasm", &small(REVISION)), &images]));
    let dirty = format!("{REVISION}-dirty");
    succeed(&mut command(&["image", &scratch.write("b.wasm", &small(&dirty)), &images]));
    for variant in ["artifact", "compat"] {
        let files = tree(&scratch.path("images").join(variant));
        assert_eq!(Layout::of(&files).manifest["annotations"]["org.opencontainers.image.revision"], *dirty);
        assert_eq!(Layout::tag(&files), format!("{VERSION}-dirty"));
    }
}

#[test]
fn refuses_what_is_no_module_of_ours() {
    let scratch = Scratch::new("refused");
    let other = b"\0asm\x01\0\0\0".to_vec();
    let table: &[(&str, Vec<u8>, &str)] = &[
        ("a text", b"plugin".to_vec(), "magic header"),
        ("half a module", built()[..4096].to_vec(), "unexpected end"),
        ("no section", unlabelled(), "no section tracewarden.build: build the module with `make build`"),
        ("no JSON", labelled(&unlabelled(), "0.1.0"), "section tracewarden.build: "),
        ("no revision", labelled(&unlabelled(), r#"{"version":"0.1.0"}"#), "missing field `revision`"),
        ("a path for a version", labelled(&unlabelled(), r#"{"version":"../x","revision":""}"#), "version"),
        (
            "no proxy-wasm",
            labelled(&other, r#"{"version":"0.1.0","revision":""}"#),
            "exports no proxy_abi_version_…",
        ),
    ];
    for (name, module, expected) in table {
        let path = scratch.write("module.wasm", module);
        let error = fail(&mut command(&["image", &path, &scratch.text("images")]));
        assert!(error.contains(expected) && error.contains("module.wasm: "), "{name}: {error}");
        assert!(!scratch.path("images").exists(), "{name}");
    }
}

#[test]
fn removes_no_directory_that_is_not_its_own() {
    let scratch = Scratch::new("own");
    std::fs::create_dir_all(scratch.path("images/artifact")).expect("a directory");
    let precious = scratch.write("images/artifact/precious", b"kept");
    let error = fail(&mut command(&[
        "image",
        &scratch.write("module.wasm", &small(REVISION)),
        &scratch.text("images"),
    ]));
    assert!(error.contains("images/artifact exists without oci-layout: remove it"), "{error}");
    assert_eq!(std::fs::read(precious).expect("still there"), b"kept");
}
