//! What `explain` answers, compared with what the filter did.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{LazyLock, Mutex};

use proxy_wasm_test_framework::{HeaderMap, Host};
use regex_lite::Regex;
use serde_json::Value;

use crate::command::{File, explain};
use crate::native;

/// What `explain` is asked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) configuration: Vec<u8>,
    pub(crate) environment: BTreeMap<String, String>,
    /// What the host says of the listener's direction.
    pub(crate) direction: Option<Vec<u8>>,
    pub(crate) peer_uri: Option<Vec<u8>>,
    pub(crate) peer_address: Option<Vec<u8>>,
    pub(crate) route: Option<Vec<u8>>,
    pub(crate) cluster: Option<Vec<u8>>,
    pub(crate) request: Option<Message>,
    pub(crate) response: Option<Message>,
}

/// The lines of a message.
pub(crate) type Message = Vec<(Vec<u8>, Vec<u8>)>;

/// What the filter did in one pass.
#[derive(Debug)]
pub(crate) struct Did {
    headers: Lines,
    counters: Vec<Counted>,
    published: BTreeMap<String, String>,
}

/// The headers of a message, each with its lines.
type Lines = BTreeMap<String, Vec<String>>;
/// A series and its count.
type Counted = (String, BTreeMap<String, String>, u64);

/// The keys that an access log may ask for.
const KEYS: [&str; 7] =
    ["trace_context", "trace_id", "span_id", "parent_id", "sampled", "linked_trace_id", "linked_span_id"];
/// A line that is in every question, because a message without any is none.
const FILLER: &str = "x-filler";

/// Every counter of a host.
pub(crate) fn counted(host: &Host) -> BTreeMap<String, u64> {
    let gauges =
        ["tracewarden_enabled", "tracewarden_traced_requests_in_flight", "tracewarden_export_queue_spans"];
    let counters =
        host.metrics().iter().filter(|(name, _)| !gauges.iter().any(|gauge| name.ends_with(gauge)));
    counters.map(|(name, count)| (name.to_owned(), count)).collect()
}

impl Did {
    /// What happened since these counts, and the headers that were left.
    pub(crate) fn since(
        before: &BTreeMap<String, u64>,
        vm: &native::Vm,
        stream: native::StreamId,
        headers: &HeaderMap,
    ) -> Self {
        let grown = counted(vm.host()).into_iter().filter_map(|(stat, count)| {
            let more = count - before.get(&stat).copied().unwrap_or_default();
            (more > 0).then(|| series(&stat, more))
        });
        let mut counters: Vec<Counted> = grown.collect();
        counters.sort();
        let published = KEYS.iter().filter_map(|key| {
            let value = vm.filter_state(stream, &format!("wasm.{key}"))?;
            Some(((*key).to_owned(), String::from_utf8(value.to_vec()).expect("text")))
        });
        let lines = headers.iter().map(|(name, value)| (escaped(name), escaped(value.trim_ascii())));
        Self { headers: grouped(lines), counters, published: published.collect() }
    }
}

impl Asked {
    /// Checks that a configuration that the filter refuses is refused.
    pub(crate) fn is_refused(&self) {
        let asked = Self { request: Some(Message::new()), ..self.clone() };
        let (status, answer) = asked.ask();
        assert_eq!(status, Some(2), "{}: {answer}", String::from_utf8_lossy(&self.configuration));
    }

    /// Checks that the answer for a message is what the filter did with it.
    pub(crate) fn answers(&self, message: &str, did: &Did) {
        let (status, answer) = self.ask();
        let config = String::from_utf8_lossy(&self.configuration);
        assert!(matches!(status, Some(0 | 1)), "{config}: {status:?} {answer}");
        let filter = &answer["exchanges"][0]["filter"];
        let outcomes = filter["outcomes"].as_array().expect("outcomes");
        let differences: Vec<String> =
            outcomes.iter().map(|outcome| did.difference(&outcome[message]).unwrap_or_default()).collect();
        assert!(
            differences.iter().any(String::is_empty),
            "{message} with {config}: {differences:#?}\nthe filter: {did:#?}\nexplain: {answer:#}"
        );
        if message == "request" {
            let verdict = did.counters.iter().find(|(name, ..)| name == "tracewarden_requests_total");
            let verdict = verdict.map(|(_, labels, _)| labels["context"].as_str());
            assert_eq!(filter["context"].as_str(), verdict, "{config}: {answer:#}");
            reasons_fit(filter, verdict);
        }
    }

    /// Asks the command, once for each question.
    fn ask(&self) -> (Option<i32>, Value) {
        type Answers = Mutex<HashMap<Asked, (Option<i32>, Value)>>;
        static ANSWERS: LazyLock<Answers> = LazyLock::new(Mutex::default);
        let known = ANSWERS.lock().expect("a lock").get(self).cloned();
        known.unwrap_or_else(|| {
            let file = File::new(&self.configuration);
            let said = explain(&self.arguments(&file), &self.input(), &self.environment);
            let answer = serde_json::from_str(&said.printed).unwrap_or(Value::String(said.complaint));
            ANSWERS.lock().expect("a lock").insert(self.clone(), (said.status, answer.clone()));
            (said.status, answer)
        })
    }

    fn arguments(&self, file: &File) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["--json", "--config", file.path()].map(OsString::from).into();
        let mut option = |name: &str, value: &Option<Vec<u8>>| {
            if let Some(value) = value {
                arguments.extend([OsString::from(name), OsString::from_vec(value.clone())]);
            }
        };
        let direction = self.direction.as_ref().and_then(|value| match value.first() {
            Some(1) => Some(b"inbound".to_vec()),
            Some(2) => Some(b"outbound".to_vec()),
            _ => None,
        });
        option("--direction", &direction);
        option("--peer-uri", &self.peer_uri);
        option("--source-address", &self.peer_address);
        option("--route", &self.route);
        option("--cluster", &self.cluster);
        arguments
    }

    /// The messages as `curl -v` prints them.
    fn input(&self) -> Vec<u8> {
        let mut text = b"* explain\n".to_vec();
        for (sign, message) in [(b'>', &self.request), (b'<', &self.response)] {
            let Some(message) = message else { continue };
            for (name, value) in [(FILLER.into(), b"1".to_vec())].iter().chain(message) {
                text.extend([&[sign, b' '], name.as_slice(), b": ", value, b"\r\n"].concat());
            }
        }
        text
    }
}

/// Checks that the entries that are said to decide lead to what the filter did.
fn reasons_fit(filter: &Value, verdict: Option<&str>) {
    assert_eq!(filter["excluded_by"].is_string(), verdict == Some("excluded"), "{filter:#}");
    assert!(verdict != Some("untrusted") || filter["trusted"] == false, "{filter:#}");
    assert!(verdict != Some("unlinked") || filter["trusted"] == true, "{filter:#}");
    let sampling = &filter["sampling"];
    assert_eq!(sampling["rule"].is_string(), sampling["by"] == "rule", "{filter:#}");
    let is_share = matches!(sampling["by"].as_str(), Some("rule" | "probability"));
    assert_eq!(sampling["probability"].is_number(), is_share, "{filter:#}");
}

impl Did {
    /// How an outcome that was answered differs.
    fn difference(&self, message: &Value) -> Option<String> {
        let pairs = message["after"].as_array().expect("headers").iter();
        let lines = pairs.map(|pair| (word(&pair[0]), word(&pair[1])));
        let mut headers = grouped(lines);
        headers.remove(FILLER);
        if let Some(header) = headers.keys().chain(self.headers.keys()).find(|header| {
            let [answered, left] = [&headers, &self.headers].map(|lines| lines.get(*header));
            !answered.zip(left).is_some_and(|(answered, left)| all_fit(answered, left))
        }) {
            return Some(format!(
                "{header}: {:?} is not {:?}",
                headers.get(header),
                self.headers.get(header)
            ));
        }
        let counters = message["counters"].as_array().expect("counters").iter();
        let mut counters: Vec<Counted> = counters.map(answered).collect();
        counters.sort();
        if counters != self.counters {
            return Some(format!("{counters:?} is not {:?}", self.counters));
        }
        let fields = message["log_fields"].as_object().expect("fields");
        let mut differs = fields.iter().filter(|(key, value)| {
            !self.published.get(*key).is_some_and(|published| fits(&word(value), published))
        });
        differs.next().map(|(key, value)| format!("{key}: {value} is not {:?}", self.published.get(key)))
    }
}

fn all_fit(answered: &[String], left: &[String]) -> bool {
    answered.len() == left.len() && answered.iter().zip(left).all(|(one, other)| fits(one, other))
}

/// Whether a text is what an answer says, new ids as they may be.
fn fits(answered: &str, text: &str) -> bool {
    if answered == "<not shown>" || answered == text {
        return true;
    }
    let pattern = regex_lite::escape(answered)
        .replace("<new trace\\-id>", "([0-9a-f]{8}-[0-9a-f]{24}|[0-9a-f]{16}|[0-9a-f]{32}|[0-9]{1,20})")
        .replace("<new parent\\-id>", "([0-9a-f]{16}|[0-9]{1,20})")
        .replace("<binary, with new ids>", "[A-Za-z0-9+/=]+");
    Regex::new(&format!("^{pattern}$")).expect("a pattern").is_match(text)
}

/// A series as its stat's name has it.
fn series(stat: &str, count: u64) -> Counted {
    let mut parts: Vec<&str> = stat.split(";.;").collect();
    let name = parts.pop().expect("a name").to_owned();
    let label = |part: &str| {
        let (name, value) = part.split_once("=.=").expect("label=.=value");
        (name.to_owned(), value.to_owned())
    };
    (name, parts.into_iter().map(label).collect(), count)
}

/// A series as an answer has it; the native edge gives it no label for the listener.
fn answered(counter: &Value) -> Counted {
    let labels = counter["labels"].as_object().expect("labels").iter();
    let labels =
        labels.filter(|(name, _)| *name != "listener").map(|(name, value)| (name.clone(), word(value)));
    (word(&counter["name"]), labels.collect(), counter["count"].as_u64().expect("a count"))
}

fn word(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn grouped(lines: impl Iterator<Item = (String, String)>) -> Lines {
    let mut grouped = Lines::new();
    for (name, value) in lines {
        grouped.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    grouped
}

/// Bytes as an answer writes them.
fn escaped(bytes: &[u8]) -> String {
    let sign = |byte: &u8| match byte {
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    bytes.iter().map(sign).collect()
}
