//! Asking a server, within bounds of time and size.

use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

/// The longest answer that is read.
pub(crate) const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// Why there is nothing to read.
pub(crate) enum Failure {
    /// The server answers, but not as this kind of server does.
    Other(String),
    /// It is no use to go on asking.
    Final(String),
}

/// A server.
pub(crate) struct Web {
    agent: Agent,
    base: String,
    headers: Vec<(String, String)>,
}

impl Web {
    pub(crate) fn new(url: &str, headers: Vec<(String, String)>, timeout: Duration) -> Result<Self, String> {
        let uri: ureq::http::Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let authority = uri.authority().ok_or_else(|| format!("{url}: it names no host"))?;
        if authority.as_str().contains('@') {
            let problem =
                "credentials do not belong into an address: see TRACEWARDEN_AUTHORIZATION in --help";
            return Err(problem.to_owned());
        }
        if uri.query().is_some() {
            return Err(format!("{url}: only the server's address is wanted, without a query"));
        }
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        // Credentials go to no other server that this one names.
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .max_redirects_will_error(false);
        let agent = config.http_status_as_error(false).tls_config(tls).build().into();
        Ok(Self { agent, base: url.trim_end_matches('/').to_owned(), headers })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The status and the body of the answer to one question.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<(u16, Vec<u8>), Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).query_pairs(query.iter().copied());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = request.call().map_err(|error| self.failed(path, &error))?;
        let status = response.status().as_u16();
        if matches!(status, 401 | 403) {
            return Err(Failure::Final(format!(
                "{}{path} answered {status}: it wants other credentials; TRACEWARDEN_AUTHORIZATION or --token-file gives them",
                self.base
            )));
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        Ok((status, body.map_err(|error| self.failed(path, &error))?))
    }

    fn failed(&self, path: &str, error: &Error) -> Failure {
        let problem = match error {
            Error::Timeout(_) => "no answer in time; --timeout gives it more".to_owned(),
            Error::BodyExceedsLimit(_) => format!(
                "the answer is longer than {} MiB; of a Prometheus, --match reads a part",
                MAX_ANSWER >> 20
            ),
            other => other.to_string(),
        };
        Failure::Final(format!("{}{path}: {problem}", self.base))
    }
}
