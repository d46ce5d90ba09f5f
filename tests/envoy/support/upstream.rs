//! An upstream that remembers every request as it arrived, and answers what the test says.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::PATIENCE;
use super::http1::{Message, head};

/// The bytes of the answer to a request.
type Answer = dyn Fn(&Message) -> Vec<u8> + Send + Sync;

/// A server on a free port, for as long as the test binary runs.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Message>>>,
}

impl Upstream {
    /// Answers 200 to everything.
    pub(crate) fn start() -> Self {
        Self::answering(|_| ok(&[]))
    }

    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering_at(0, answer)
    }

    /// The same at a port that the test has chosen.
    pub(crate) fn answering_at(
        port: u16,
        answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let received = Arc::default();
        let answer: Arc<Answer> = Arc::new(answer);
        let seen = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { port, received }
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.received.lock().expect("no panic while it is held"))
    }

    /// The only request since the last call.
    pub(crate) fn take_one(&self) -> Message {
        let mut received = self.take();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }
}

/// A 200 with these header lines.
pub(crate) fn ok(lines: &[(&str, &[u8])]) -> Vec<u8> {
    response("200 OK", lines)
}

/// A 200 with a body.
pub(crate) fn ok_with(content_type: &str, body: &[u8]) -> Vec<u8> {
    let start =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
    [head(start, &[]), body.to_vec()].concat()
}

/// A response without a body.
pub(crate) fn response(status: &str, lines: &[(&str, &[u8])]) -> Vec<u8> {
    head(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n"), lines)
}

fn serve(stream: TcpStream, received: &Mutex<Vec<Message>>, answer: &Answer) {
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE * 4));
    let mut reader = BufReader::new(stream);
    // Envoy closes when it likes; what a test misses for it, it finds missing.
    while let Ok(Some(message)) = Message::read(&mut reader) {
        let bytes = answer(&message);
        received.lock().expect("no panic while it is held").push(message);
        if reader.get_mut().write_all(&bytes).is_err() {
            return;
        }
    }
}
