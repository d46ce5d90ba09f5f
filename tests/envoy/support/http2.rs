//! HTTP/2 without TLS: a client, and an upstream that answers as a gRPC server does.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use super::PATIENCE;

/// A request or a response with what came after its headers.
#[derive(Debug)]
pub(crate) struct Exchanged<T> {
    pub(crate) head: T,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// Sends a request on a connection of its own.
pub(crate) fn exchange(port: u16, request: Request<&'static [u8]>) -> Exchanged<Response<()>> {
    let exchange = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("a connection");
        let (sender, connection) = h2::client::handshake(stream).await.expect("a handshake");
        tokio::spawn(connection);
        let mut sender = sender.ready().await.expect("room for a request");
        let (head, body) = request.into_parts();
        let (response, mut stream) =
            sender.send_request(Request::from_parts(head, ()), body.is_empty()).expect("a request");
        if !body.is_empty() {
            stream.send_data(body.into(), true).expect("a body");
        }
        let (head, body) = response.await.expect("a response").into_parts();
        let (body, trailers) = read(body).await.expect("a whole response");
        Exchanged { head: Response::from_parts(head, ()), body, trailers }
    };
    runtime().block_on(async { tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time") })
}

/// A request whose body is still being sent, on a connection of its own.
pub(crate) struct OpenRequest {
    runtime: tokio::runtime::Runtime,
    body: SendStream<&'static [u8]>,
    response: ResponseFuture,
}

impl OpenRequest {
    /// Sends the headers.
    pub(crate) fn begin(port: u16, head: Request<()>) -> Self {
        let runtime = runtime();
        let (response, body) = runtime.block_on(async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("a connection");
            let (sender, connection) =
                h2::client::Builder::new().handshake(stream).await.expect("a handshake");
            tokio::spawn(connection);
            let mut sender = sender.ready().await.expect("room for a request");
            sender.send_request(head, false).expect("a request")
        });
        Self { runtime, body, response }
    }

    /// Sends a piece of the body, and gives the connection the time to write it.
    pub(crate) fn send(&mut self, piece: &'static [u8]) {
        self.body.send_data(piece, false).expect("an open stream");
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
    }

    /// Ends the body, and takes the response.
    pub(crate) fn end(mut self) -> Exchanged<Response<()>> {
        self.body.send_data(b"", true).expect("an open stream");
        let response = async {
            let (head, body) = self.response.await.expect("a response").into_parts();
            let (body, trailers) = read(body).await.expect("a whole response");
            Exchanged { head: Response::from_parts(head, ()), body, trailers }
        };
        let in_time = async { tokio::time::timeout(PATIENCE, response).await.expect("an answer in time") };
        self.runtime.block_on(in_time)
    }
}

/// A request for the path with these header lines.
pub(crate) fn get(path: &str, lines: &[(&str, &[u8])]) -> Request<&'static [u8]> {
    let mut request = Request::get(format!("http://test{path}")).body(&b""[..]).expect("a request");
    request.headers_mut().extend(headers(lines));
    request
}

pub(crate) fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let name = |name: &str| name.parse::<HeaderName>().expect("a header's name");
    let value = |value: &[u8]| HeaderValue::from_bytes(value).expect("a header's value");
    lines.iter().map(|(n, v)| (name(n), value(v))).collect()
}

/// Every line of a header.
pub(crate) fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// A gRPC server on a free port, for as long as the test binary runs.
pub(crate) struct GrpcUpstream {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Exchanged<Request<()>>>>>,
    /// The path and the headers of each request, before it is complete.
    heads: Heads,
}

type Heads = Arc<Mutex<Vec<(String, HeaderMap)>>>;

impl GrpcUpstream {
    /// Echoes the message and ends in the trailers `grpc-status: 0` and `traceparent: of-the-trailers`; the method
    /// `/test/Fail`, and each of the authority `fail`, has its status in the headers, and no trailers; that of `/test/Internal` in
    /// its trailers is 13.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("no blocking");
        let port = listener.local_addr().expect("an address").port();
        let (received, heads) = (Arc::default(), Heads::default());
        let (seen, begun) = (Arc::clone(&received), Arc::clone(&heads));
        std::thread::spawn(move || {
            runtime().block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&begun)));
                }
            });
        });
        Self { port, received, heads }
    }

    /// The headers of a request for the path, if one has come.
    pub(crate) fn find(&self, path: &str) -> Option<HeaderMap> {
        let heads = self.heads.lock().expect("no panic while it is held");
        heads.iter().find(|(known, _)| known == path).map(|(_, headers)| headers.clone())
    }

    /// The only request since the last call.
    pub(crate) fn take_one(&self) -> Exchanged<Request<()>> {
        let mut received = std::mem::take(&mut *self.received.lock().expect("no panic while it is held"));
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }
}

async fn serve(stream: TcpStream, received: Arc<Mutex<Vec<Exchanged<Request<()>>>>>, heads: Heads) {
    let mut connection = h2::server::handshake(stream).await.expect("a handshake");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let received = Arc::clone(&received);
        let begun = (request.uri().path().to_owned(), request.headers().clone());
        heads.lock().expect("no panic while it is held").push(begun);
        tokio::spawn(async move {
            let (head, body) = request.into_parts();
            let Ok((body, trailers)) = read(body).await else { return };
            let request = Exchanged { head: Request::from_parts(head, ()), body, trailers };
            let uri = request.head.uri();
            let fails = uri.path() == "/test/Fail" || uri.host() == Some("fail");
            let is_internal = uri.path() == "/test/Internal";
            let message = request.body.clone();
            received.lock().expect("no panic while it is held").push(request);
            let mut response = Response::new(());
            response.headers_mut().extend(headers(&[("content-type", b"application/grpc")]));
            if fails {
                response.headers_mut().extend(headers(&[("grpc-status", b"5")]));
            }
            // A call that Envoy gave up needs no answer.
            let Ok(mut stream) = respond.send_response(response, fails) else { return };
            if !fails {
                stream.send_data(message.into(), false).expect("a message");
                let status: &[u8] = if is_internal { b"13" } else { b"0" };
                let trailers = headers(&[("grpc-status", status), ("traceparent", b"of-the-trailers")]);
                stream.send_trailers(trailers).expect("trailers");
            }
        });
    }
}

async fn read(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, body.trailers().await?.unwrap_or_default()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
