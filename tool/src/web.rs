//! Asking a server, within bounds of time and size.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ureq::http::Response;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error};

/// The longest answer that is read.
pub(crate) const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// What to say of a server that is too slow.
pub(crate) const NO_ANSWER: &str = "no answer in time; --timeout gives it more";

/// The environment variable with credentials, which do not belong on a command line.
const AUTHORIZATION: &str = "TRACEWARDEN_AUTHORIZATION";

/// How a server is asked.
#[derive(Args)]
pub(crate) struct Access {
    /// Whether it may not send credentials.
    #[arg(skip)]
    is_bare: bool,
    /// How long an answer may take.
    #[arg(long, value_name = "TIME", value_parser = crate::report::seconds, default_value = "10s")]
    timeout: u64,
    /// A header to ask with, such as 'X-Scope-OrgID: shop'. Credentials come from TRACEWARDEN_AUTHORIZATION (the value of
    /// `authorization`, such as `Basic …`) or --token-file.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A file with a bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Whether it is the address of a server, and not a file.
pub(crate) fn is_address(source: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| source.starts_with(scheme))
}

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
    too_long: &'static str,
}

impl Access {
    /// The same for another server, which is not to see headers and credentials.
    pub(crate) const fn without_credentials(&self) -> Self {
        Self { is_bare: true, timeout: self.timeout, headers: Vec::new(), token_file: None }
    }

    /// The headers to ask with, credentials among them.
    fn headers(&self) -> Result<Vec<(String, String)>, String> {
        if self.is_bare {
            return Ok(Vec::new());
        }
        let of_file = self.token_file.as_deref().map(token).transpose()?;
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| is_secret(name)) {
            return Err(format!(
                "{name} does not belong on a command line: {AUTHORIZATION} or --token-file gives it"
            ));
        }
        let authorization =
            of_file.or_else(|| std::env::var(AUTHORIZATION).ok().filter(|value| !value.is_empty()));
        let authorization = authorization.map(|value| ("authorization".to_owned(), value));
        Ok(self.headers.iter().cloned().chain(authorization).collect())
    }
}

fn token(file: &Path) -> Result<String, String> {
    let token = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(format!("Bearer {}", token.trim()))
}

fn is_secret(header: &str) -> bool {
    matches!(header, "authorization" | "proxy-authorization" | "cookie")
}

impl Web {
    /// A server. `too_long` says what to do about an answer that is longer than [`MAX_ANSWER`].
    pub(crate) fn new(url: &str, access: &Access, too_long: &'static str) -> Result<Self, String> {
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
            .timeout_global(Some(Duration::from_secs(access.timeout)))
            .max_redirects(0)
            .max_redirects_will_error(false);
        let agent = config.http_status_as_error(false).tls_config(tls).build().into();
        Ok(Self { agent, base: url.trim_end_matches('/').to_owned(), headers: access.headers()?, too_long })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The status and the body of the answer to one question.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<(u16, Vec<u8>), Failure> {
        let mut response = self.call(path, query)?;
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        Ok((response.status().as_u16(), body.map_err(|error| self.failed(path, &error))?))
    }

    /// The status and the body of an answer that may be long, to be read bit by bit.
    pub(crate) fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(u16, impl Read + use<>), Failure> {
        let response = self.call(path, query)?;
        Ok((response.status().as_u16(), response.into_body().into_with_config().limit(u64::MAX).reader()))
    }

    fn call(&self, path: &str, query: &[(&str, &str)]) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).query_pairs(query.iter().copied());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.call().map_err(|error| self.failed(path, &error))?;
        match response.status().as_u16() {
            status @ (401 | 403) => Err(Failure::Final(format!(
                "{}{path} answered {status}: it wants other credentials; TRACEWARDEN_AUTHORIZATION or --token-file gives them",
                self.base
            ))),
            _ => Ok(response),
        }
    }

    fn failed(&self, path: &str, error: &Error) -> Failure {
        let problem = match error {
            Error::Timeout(_) => NO_ANSWER.to_owned(),
            Error::BodyExceedsLimit(_) => {
                format!("the answer is longer than {} MiB; {}", MAX_ANSWER >> 20, self.too_long)
            }
            other => other.to_string(),
        };
        Failure::Final(format!("{}{path}: {problem}", self.base))
    }
}

/// A name and a value; the white space around the value does not count.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written NAME: VALUE")?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("{name:?} is not the name of a header"));
    }
    Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
}
