//! The three applications of the demo mesh. Each answers on loopback, calls another one through its own Envoy
//! listener, and does to the trace context what its row in [`services::SERVICES`] says.

mod services;
mod story;

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use services::{Answer, Call, LAST_PORT, SERVICES, Service, outbound_headers};
use story::Story;

type Failure = Box<dyn Error + Send + Sync>;

const DEFAULT_BASE_PORT: u16 = 10_000;
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const REPLY_LIMIT: usize = 64 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const HELP: &str = "\
Serves the three applications of Tracewarden's demo mesh on loopback.

Usage: tracewarden-demo [--base-port PORT]

  --base-port PORT   the mesh's first port (default 10000); the applications
                     listen on PORT+7 (checkout), PORT+8 (lossy), PORT+9 (mangler)
                     and call out through Envoy on PORT+2, PORT+4, PORT+6
  -h, --help         this text

  checkout  GET /checkout  forwards the trace context and calls lossy's /stock
  lossy     GET /lossy     forgets the trace context and calls checkout's /price
  mangler   GET /mangler   upper-cases the traceparent and calls checkout's /price
";

fn main() -> ExitCode {
    let base_port = match arguments() {
        Ok(Some(base_port)) => base_port,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("tracewarden-demo: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(base_port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracewarden-demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The base port, or nothing where only help is wanted.
fn arguments() -> Result<Option<u16>, lexopt::Error> {
    use lexopt::prelude::*;

    let mut base_port = DEFAULT_BASE_PORT;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("base-port") => base_port = arguments.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if base_port == 0 || base_port.checked_add(LAST_PORT).is_none() {
        return Err(format!("--base-port must be 1 to {}", u16::MAX - LAST_PORT).into());
    }
    Ok(Some(base_port))
}

fn run(base_port: u16) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut servers = Vec::new();
        for service in &SERVICES {
            let port = base_port + service.port;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .await
                .map_err(|error| format!("cannot serve {} on 127.0.0.1:{port}: {error}", service.name))?;
            servers.push(tokio::spawn(serve(service, listener, base_port + service.outbound)));
        }
        for server in servers {
            server.await?;
        }
        Ok(())
    })
}

async fn serve(service: &'static Service, listener: TcpListener, outbound: u16) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                eprintln!("{}: cannot accept a connection: {error}", service.name);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        tokio::spawn(async move {
            let respond = hyper::service::service_fn(move |request| respond(service, outbound, request));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), respond)
                .await;
            if let Err(error) = served {
                eprintln!("{}: {error}", service.name);
            }
        });
    }
}

async fn respond(
    service: &'static Service,
    outbound: u16,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let (status, text) = match service.answer(path) {
        Answer::NotFound => (StatusCode::NOT_FOUND, format!("no such path here: try {}\n", service.entry)),
        Answer::Alone => (StatusCode::OK, Story::received(service, path, request.headers()).into_text()),
        Answer::AfterCalling(next) => {
            let mut story = Story::received(service, path, request.headers());
            let headers = outbound_headers(service.propagation, request.headers());
            story.sent(service, next, &headers);
            let status = match call(outbound, next, headers).await {
                Ok((status, body)) => {
                    story.answered(&body);
                    if status.is_success() {
                        StatusCode::OK
                    } else {
                        story.failed(service, &format!("{} answered {status}", next.host));
                        StatusCode::BAD_GATEWAY
                    }
                }
                Err(error) => {
                    let why =
                        format!("no answer through the outbound listener 127.0.0.1:{outbound}: {error}");
                    story.failed(service, &why);
                    StatusCode::BAD_GATEWAY
                }
            };
            (status, story.into_text())
        }
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

async fn call(
    outbound: u16,
    to: Call,
    headers: Vec<(HeaderName, HeaderValue)>,
) -> Result<(StatusCode, Bytes), Failure> {
    let exchange = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, outbound)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Its error reaches us through the sender as well.
        tokio::spawn(connection);
        let mut request = Request::get(to.path).header(HOST, to.host).body(Empty::<Bytes>::new())?;
        for (name, value) in headers {
            request.headers_mut().append(name, value);
        }
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_LIMIT).collect().await?.to_bytes();
        Ok((status, body))
    };
    tokio::time::timeout(CALL_TIMEOUT, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("none within {} seconds", CALL_TIMEOUT.as_secs()).into()))
}
