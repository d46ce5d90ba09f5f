//! What is allowed and doubtful: each doubt is certain from what was read.

use tracewarden::config::Config;
use tracewarden::words::DirectionWord;

use super::codes::{self, Code};
use super::message::Message;
use super::plugin::{Around, Image, Plugin, Scope, Tracer};

/// A plugin whose configuration is valid.
pub(super) struct Valid<'a, 't> {
    pub(super) plugin: &'a Plugin<'t>,
    pub(super) config: Config,
    /// Its number among all plugins.
    pub(super) number: usize,
}

/// The doubts about a plugin on its own. `traces_in_istio` says that Istio's own tracing is on.
pub(super) fn of(valid: &Valid<'_, '_>, traces_in_istio: bool) -> Vec<Message> {
    let Valid { plugin, config, .. } = valid;
    let mut messages: Vec<Message> =
        plugin.image.iter().filter_map(|image| of_image(plugin, image)).collect();
    if !config.enabled {
        let text = "enabled: false, so this plugin changes nothing and counts nothing";
        messages.push(plugin.message(&codes::DISABLED, plugin.line_of_field(&["enabled"]), text.to_owned()));
        return messages;
    }
    messages.extend(plugin.around.tracer.as_ref().and_then(|tracer| of_tracer(valid, tracer)));
    let doubts = of_configuration(valid, traces_in_istio).into_iter().filter(|(holds, ..)| *holds);
    let said =
        |(_, code, field, text): Doubt| plugin.message(code, plugin.line_of_field(field), text.to_owned());
    messages.extend(doubts.map(said));
    messages
}

/// Whether a doubt holds, its code, the field that it is about, and what is said.
type Doubt = (bool, &'static Code, &'static [&'static str], &'static str);

fn of_configuration(Valid { plugin, config, .. }: &Valid<'_, '_>, traces_in_istio: bool) -> [Doubt; 4] {
    let Around { tracer, is_traced, is_upstream, .. } = &plugin.around;
    let exports = config.export.is_some();
    [
        (
            *is_upstream && (exports || config.request.correlation.is_some()),
            &codes::UPSTREAM,
            if exports { &["export"] } else { &["correlation"] },
            "export and correlation do not work in an upstream filter, because Envoy tells it of no stream's end; remove them",
        ),
        (
            config.repairs_nothing() && !is_upstream,
            &codes::REPAIRS_NOTHING,
            &["start"],
            "start: never without correlation gives no lost context back; add correlation on both sides of the pod, or say \
             mode: observe",
        ),
        (
            config.starts_without_a_span() && !is_traced && !traces_in_istio && !is_upstream,
            &codes::NO_FIRST_SPAN,
            &["role"],
            "traces start at this edge, and nothing here records their first span; add export, or say start: never",
        ),
        (
            // What a tracer overwrites records nothing behind the edge.
            config.samples_all_from_outside() && (exports || tracer.is_none()) && !is_upstream,
            &codes::SAMPLES_ALL,
            &["sampling", "probability"],
            "sampling.probability is 1 at an edge without a rate limit; lower it, or set sampling.max_traces_per_second",
        ),
    ]
}

fn of_tracer(
    Valid { plugin, config, .. }: &Valid<'_, '_>,
    Tracer { name, place }: &Tracer,
) -> Option<Message> {
    let text = format!(
        "one request can carry two traces: this filter writes other formats than tracecontext, and Envoy's tracer ({name}, \
         {place}) writes its context afterwards; move the filter to the router's upstream_http_filters, set \
         no_context_propagation: true in that tracing (from Envoy 1.38 on), or remove the tracer"
    );
    let line = plugin.line_of_field(&["propagation", "inject"]);
    config.request.writes_more_than_w3c().then(|| plugin.message(&codes::TWO_TRACES, line, text))
}

/// The registry of the manifests, which stands for one's own.
const PLACEHOLDER: &str = "registry.example/";

fn of_image(plugin: &Plugin<'_>, image: &Image<'_>) -> Option<Message> {
    let (scheme, address) = image.url.split_once("://").unwrap_or(("oci", image.url));
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (code, line, text) = match image.digest {
        _ if address.starts_with(PLACEHOLDER) => (
            &codes::IMAGE_NOT_SET,
            image.line,
            "url still names registry.example; set it to where you pushed the image",
        ),
        Some((digest, line)) if !is_digest(digest) => (
            &codes::IMAGE_NOT_SET,
            line,
            "sha256: expected 64 hexadecimal digits; set it to the digest that `make image` prints",
        ),
        None if scheme != "file" && !address.contains("@sha256:") => (
            &codes::NO_DIGEST,
            image.line,
            "no sha256 is stated, so a moved tag is another module; set it to the digest that `make image` prints",
        ),
        _ => return None,
    };
    Some(plugin.message(code, line, text.to_owned()))
}

/// The doubts about plugins that share a proxy: correlation needs both sides of it, with one memory.
pub(super) fn of_sides(plugins: &[Valid<'_, '_>]) -> Vec<Message> {
    let remembers =
        |valid: &&Valid<'_, '_>| valid.config.enabled && valid.config.request.correlation.is_some();
    let remembering: Vec<_> = plugins.iter().filter(remembers).collect();
    remembering.iter().filter_map(|valid| of_side(valid, &remembering)).collect()
}

fn of_side(valid: &Valid<'_, '_>, remembering: &[&Valid<'_, '_>]) -> Option<Message> {
    let Valid { plugin, config, .. } = valid;
    let (other, said) = match config.request.direction {
        DirectionWord::Auto => return None,
        DirectionWord::Inbound => (DirectionWord::Outbound, "outbound"),
        DirectionWord::Outbound => (DirectionWord::Inbound, "inbound"),
    };
    if plugin.scope == Scope::Alone {
        return None;
    }
    let is_opposite = |valid: &&&Valid<'_, '_>| {
        let direction = valid.config.request.direction;
        (direction == other || direction == DirectionWord::Auto) && plugin.may_share_a_proxy(valid.plugin)
    };
    let slots = |config: &Config| config.request.correlation.map(|correlation| correlation.slots);
    let mut others = remembering.iter().filter(is_opposite).map(|valid| slots(&valid.config)).peekable();
    let line = plugin.line_of_field(&["correlation"]);
    if others.peek().is_none() {
        let text = format!(
            "correlation is on one side only: no plugin in this input has it on the {said} side of the same workloads; add it \
             there with the same slots"
        );
        return Some(plugin.message(&codes::ONE_SIDE, line, text));
    }
    let is_alike = others.any(|other| other == slots(config));
    let text = format!(
        "correlation has other slots on the {said} side, so nothing is found there; give both sides the same number"
    );
    (!is_alike).then(|| plugin.message(&codes::OTHER_SLOTS, line, text))
}
