//! A client that sends header lines exactly as the test writes them.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::PATIENCE;
use super::http1::{Message, head};

/// One connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        Self::try_connect(port).expect("a connection")
    }

    pub(crate) fn try_connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends the bytes of a complete message, and takes the answer to it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Message {
        self.try_send(bytes).expect("an exchange").expect("an answer, not the end of the connection")
    }

    /// The same, for a test in which the connection may end.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<Option<Message>> {
        self.0.get_mut().write_all(bytes)?;
        Message::read(&mut self.0)
    }

    /// Sends a request for the path with these header lines.
    pub(crate) fn get(&mut self, path: &str, lines: &[(&str, &[u8])]) -> Message {
        self.send(&request(path, lines))
    }
}

/// One request on a connection of its own.
pub(crate) fn get(port: u16, path: &str, lines: &[(&str, &[u8])]) -> Message {
    Client::connect(port).get(path, lines)
}

/// A request for the path with these header lines, and nothing changed in them.
pub(crate) fn request(path: &str, lines: &[(&str, &[u8])]) -> Vec<u8> {
    head(format!("GET {path} HTTP/1.1\r\nhost: test\r\n"), lines)
}
