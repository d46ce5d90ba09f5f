//! HTTP/1 messages as they are on the wire: lines of bytes, not normalised.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// A header line: a name, and a value of any bytes.
pub(crate) type Line = (Vec<u8>, Vec<u8>);

/// A request or a response.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) body: Vec<u8>,
}

/// The bytes of a head that begins so and continues with these lines, unchanged.
pub(crate) fn head(start: String, lines: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = start.into_bytes();
    for (name, value) in lines {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

impl Message {
    /// Reads a message with its body, or nothing where the peer has closed.
    pub(crate) fn read(from: &mut BufReader<TcpStream>) -> std::io::Result<Option<Self>> {
        let Some(start) = read_line(from)? else { return Ok(None) };
        let start = String::from_utf8_lossy(&start).into_owned();
        let mut message = Self { start, lines: Vec::new(), body: Vec::new() };
        while let Some(line) = read_line(from)?
            && !line.is_empty()
        {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            message.lines.push((name.to_ascii_lowercase(), value.to_vec()));
        }
        message.body = message.read_body(from)?;
        Ok(Some(message))
    }

    /// Every line of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        self.lines.iter().filter(|(n, _)| n == name.as_bytes()).map(|(_, v)| v.as_slice()).collect()
    }

    /// The first line of a header as text; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> String {
        self.all(name).first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    /// The second word of the start line: a response's status, a request's path.
    pub(crate) fn second_word(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> u16 {
        self.second_word().parse().expect("a status line")
    }

    fn read_body(&self, from: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
        if self.text("transfer-encoding") == "chunked" {
            return read_chunks(from);
        }
        let mut body = vec![0; self.text("content-length").parse().unwrap_or(0)];
        from.read_exact(&mut body)?;
        Ok(body)
    }
}

fn read_chunks(from: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?.unwrap_or_default();
        let size = usize::from_str_radix(&String::from_utf8_lossy(&line), 16).expect("a chunk's size");
        let mut chunk = vec![0; size];
        from.read_exact(&mut chunk)?;
        body.extend(chunk);
        read_line(from)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// One line without its end, or nothing at the end of the stream.
fn read_line(from: &mut BufReader<TcpStream>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.strip_suffix(b"\r\n").unwrap_or(&line).to_vec()))
}
