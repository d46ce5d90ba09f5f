//! The images in a real registry: pushed and pulled by skopeo, found by Istio's rules.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::commands::helm;
use crate::image::printed;
use crate::istio::Layout;
use crate::modules::{REVISION, committed};
use crate::release::release;
use crate::support::{PATIENCE, Scratch, VERSION, command, in_repository, require, sha256, succeed};

/// A registry on loopback, which forgets everything when the test is over.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    fn start(scratch: &Scratch) -> Self {
        let binary = borrowed("docker-registry");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let configuration = json!({
            "version": 0.1,
            "log": { "level": "error" },
            "storage": { "filesystem": { "rootdirectory": scratch.text("registry") } },
            "http": { "addr": address },
        });
        let configuration = scratch.write("registry.yml", configuration.to_string().as_bytes());
        let process = Command::new(binary)
            .args(["serve", &configuration])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(scratch.path("registry.log")).expect("a log"))
            .spawn()
            .expect("the registry starts");
        let registry = Self { process, address };
        let begin = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            assert!(begin.elapsed() < PATIENCE, "no registry on {}", registry.address);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// skopeo without credentials.
fn skopeo(scratch: &Scratch, arguments: &[&str]) -> String {
    let mut skopeo = Command::new(borrowed("skopeo"));
    succeed(skopeo.arg("--insecure-policy").args(arguments).env("HOME", scratch.path("")))
}

/// A program that `make test` leaves in `.venv/bin`.
fn borrowed(program: &str) -> PathBuf {
    require(in_repository(".venv/bin").join(program), &format!("run `make .venv/bin/{program}`"))
}

#[test]
fn a_registry_takes_the_images_and_istio_finds_the_module() {
    let scratch = Scratch::new("registry");
    let registry = Registry::start(&scratch);
    let module = committed();
    let images = scratch.text("images");
    let text = succeed(&mut command(&["image", &scratch.write("module.wasm", &module), &images]));

    for (variant, digest) in ["artifact", "compat"].into_iter().zip(printed(&text)) {
        // The command that is printed, with the registry in its place.
        let printed = text.lines().find(|line| line.contains(&format!("{variant}:{VERSION} docker://")));
        let push = printed.expect("a command").trim().replace("REGISTRY", &registry.address);
        let words: Vec<&str> = push.split(' ').collect();
        let [program, copy, options @ .., from, image] = words.as_slice() else { panic!("{push}") };
        assert_eq!([*program, *copy], ["skopeo", "copy"]);
        skopeo(&scratch, &[&[*copy], options, &["--dest-tls-verify=false", *from, *image]].concat());

        let raw = skopeo(&scratch, &["inspect", "--tls-verify=false", "--raw", image]);
        assert_eq!(format!("sha256:{}", sha256(raw.as_bytes())), digest, "{variant}");
        let pulled = scratch.path(&format!("pulled-{variant}"));
        let to = format!("oci:{}:{VERSION}", pulled.display());
        skopeo(&scratch, &["copy", "--src-tls-verify=false", image, &to]);
        let layout = Layout::read(&pulled);
        assert_eq!(layout.manifest["annotations"]["org.opencontainers.image.revision"], REVISION);
        let checksum = digest.strip_prefix("sha256:").expect("a SHA-256");
        assert!(layout.pull(checksum).as_ref() == Ok(&module), "{variant}");
        let error = layout.pull(&sha256(&module)).unwrap_err();
        assert!(error.contains("does not match"), "the module's own checksum is not the image's: {error}");
    }
    // skopeo inspects only images in full. The last one pushed has the tag.
    let image = format!("docker://{}/tracewarden:{VERSION}", registry.address);
    let inspected = skopeo(&scratch, &["inspect", "--tls-verify=false", &image]);
    let inspected: Value = serde_json::from_str(&inspected).expect("JSON");
    assert_eq!(inspected["Digest"], *printed(&text)[1]);
    assert_eq!([&inspected["Os"], &inspected["Architecture"]], ["wasip1", "wasm"]);
    assert_eq!(inspected["RepoTags"], json!([VERSION]));
}

#[test]
fn a_registry_takes_the_chart_and_helm_finds_it_there() {
    let scratch = Scratch::new("charts");
    let registry = Registry::start(&scratch);
    let chart = scratch.write("chart.tgz", &release(&scratch)[&format!("tracewarden-chart-{VERSION}.tgz")]);
    let charts = format!("oci://{}/charts", registry.address);
    helm(&scratch, &["push", &chart, &charts, "--plain-http"]);
    let there = format!("{charts}/tracewarden");
    let shown = helm(&scratch, &["show", "chart", &there, "--version", VERSION, "--plain-http"]);
    assert!(shown.contains("name: tracewarden\n"), "{shown}");
    assert!(shown.contains(&format!("version: {VERSION}\n")), "{shown}");
}
