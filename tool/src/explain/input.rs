//! What people have at hand: header lines, assignments, bare values, what `curl -v` prints, a dump of HTTP.

use super::escape::short;
use super::line::{Piece, Reader};

/// Header lines in order, names in lower case.
pub(super) type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// A request and its response, as far as they came.
#[derive(Default)]
pub(super) struct Exchange {
    pub(super) request: Option<Lines>,
    pub(super) response: Option<Lines>,
}

/// What was understood.
#[derive(Default)]
pub(super) struct Input {
    pub(super) exchanges: Vec<Exchange>,
    /// What the reader should know of how it was understood.
    pub(super) notes: Vec<String>,
}

/// How many bytes are read.
pub(super) const MAX_INPUT: usize = 1 << 20;
/// How many requests are explained, and how many lines a message may have.
const MAX_EXCHANGES: usize = 32;
const MAX_LINES: usize = 2000;
/// How many lines that are not understood are named.
const MAX_NAMED: usize = 3;

/// Understands a text.
///
/// # Errors
/// There is nothing in it that could be a header.
pub(super) fn understand(text: &[u8], reader: &Reader<'_>) -> Result<Input, String> {
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').map(without_return).collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let mut parser = Parser::new(reader);
    if lines.iter().any(|line| is_curl(line)) {
        lines.iter().for_each(|line| parser.curl(line));
    } else if lines.iter().any(|line| start(line).is_some()) {
        lines.iter().for_each(|line| parser.dump(line));
    } else {
        lines.iter().zip(1..).take(MAX_LINES).for_each(|(line, number)| parser.loose(line, number));
        parser.passed_over += lines.len().saturating_sub(MAX_LINES);
    }
    parser.finish()
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Whether `curl -v` printed it: a line of the request or of the response, behind its sign.
fn is_curl(line: &[u8]) -> bool {
    let sent = line.strip_prefix(b"> ").or_else(|| line.strip_prefix(b"< "));
    sent.is_some_and(|sent| start(sent).is_some() || sent.contains(&b':'))
}

/// How a message begins.
enum Start<'a> {
    /// The method and the path.
    Request(&'a [u8], &'a [u8]),
    /// The status.
    Response(&'a [u8]),
}

/// The first line of a message of HTTP.
fn start(line: &[u8]) -> Option<Start<'_>> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (first, second, third) = (words.next()?, words.next()?, words.next());
    if first.starts_with(b"HTTP/") && second.len() == 3 && second.iter().all(u8::is_ascii_digit) {
        return Some(Start::Response(second));
    }
    let is_request = first.iter().all(u8::is_ascii_uppercase)
        && third.is_some_and(|version| version.starts_with(b"HTTP/"))
        && words.next().is_none();
    is_request.then_some(Start::Request(first, second))
}

/// Which message the next line belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Request,
    Response,
    /// A body, which is not looked at.
    Body,
}

struct Parser<'a> {
    reader: &'a Reader<'a>,
    input: Input,
    place: Place,
    unknown: Vec<(usize, Vec<u8>)>,
    passed_over: usize,
}

impl<'a> Parser<'a> {
    fn new(reader: &'a Reader<'a>) -> Self {
        Self { reader, input: Input::default(), place: Place::Request, unknown: Vec::new(), passed_over: 0 }
    }

    /// A line of `curl -v`; what has no sign is a body or curl's own.
    fn curl(&mut self, line: &[u8]) {
        for (sign, place) in [(b'>', Place::Request), (b'<', Place::Response)] {
            let Some(rest) = line.strip_prefix(&[sign]) else { continue };
            let Some(sent) = rest.strip_prefix(b" ").filter(|sent| !sent.is_empty()) else { return };
            match start(sent) {
                Some(start) => self.begin(&start),
                None => {
                    self.place = place;
                    self.header(sent);
                }
            }
        }
    }

    /// A line of a dump of HTTP.
    fn dump(&mut self, line: &[u8]) {
        if let Some(start) = start(line) {
            self.begin(&start);
        } else if line.is_empty() {
            self.place = if self.input.exchanges.is_empty() { self.place } else { Place::Body };
        } else if self.place != Place::Body {
            self.header(line);
        }
    }

    /// A line that stands for itself.
    fn loose(&mut self, line: &[u8], number: usize) {
        if line.trim_ascii().is_empty() {
            return;
        }
        match self.reader.read(line) {
            Piece::Headers(headers, note) => {
                headers.into_iter().for_each(|(name, value)| self.add(name, value));
                self.input.notes.extend(note.filter(|note| !self.input.notes.contains(note)));
            }
            Piece::Nothing => self.unknown.push((number, line.to_vec())),
        }
    }

    fn begin(&mut self, start: &Start<'_>) {
        match start {
            Start::Request(method, path) => {
                self.place = Place::Request;
                if self.input.exchanges.last().is_none_or(|last| last.is_begun()) {
                    self.open();
                }
                self.add(b":method".to_vec(), method.to_vec());
                self.add(b":path".to_vec(), path.to_vec());
            }
            Start::Response(status) => {
                self.place = Place::Response;
                // What is informational comes before the answer.
                let last = self.input.exchanges.last_mut();
                match last.filter(|last| last.response.as_ref().is_none_or(is_informational)) {
                    Some(last) => last.response = Some(Lines::new()),
                    None => self.open(),
                }
                self.add(b":status".to_vec(), status.to_vec());
            }
        }
    }

    fn open(&mut self) {
        self.input.exchanges.push(Exchange::default());
    }

    /// A line with a name, a colon and a value.
    fn header(&mut self, line: &[u8]) {
        match super::line::field(line) {
            Some((name, value)) => {
                if name == b"host" && self.place == Place::Request {
                    self.add(b":authority".to_vec(), value.clone());
                }
                self.add(name, value);
            }
            None => self.passed_over += 1,
        }
    }

    fn add(&mut self, name: Vec<u8>, value: Vec<u8>) {
        if self.input.exchanges.is_empty() {
            self.open();
        }
        let Some(exchange) = self.input.exchanges.last_mut() else { return };
        let message = match self.place {
            Place::Response => &mut exchange.response,
            Place::Request | Place::Body => &mut exchange.request,
        };
        message.get_or_insert_default().push((name, value));
    }

    fn finish(mut self) -> Result<Input, String> {
        if self.input.exchanges.is_empty() {
            return Err(match self.unknown.first() {
                Some((_, line)) => format!("{}: {}", short(line), Reader::EXPECTED),
                None => format!("the input is empty: {}", Reader::EXPECTED),
            });
        }
        let messages = self.input.exchanges.iter().flat_map(|one| [&one.request, &one.response]);
        if messages.flatten().any(|lines| lines.len() > MAX_LINES) {
            return Err(format!("a message has more than {MAX_LINES} header lines"));
        }
        for (number, line) in self.unknown.iter().take(MAX_NAMED) {
            self.input.notes.push(format!("Line {number} is not understood and left out: {}", short(line)));
        }
        let others = self.passed_over + self.unknown.len().saturating_sub(MAX_NAMED);
        if others > 0 {
            self.input.notes.push(format!("Lines that are not understood and left out: {others} more."));
        }
        if self.input.exchanges.len() > MAX_EXCHANGES {
            let left_out = self.input.exchanges.split_off(MAX_EXCHANGES).len();
            self.input
                .notes
                .push(format!("Only the first {MAX_EXCHANGES} requests are explained; {left_out} follow."));
        }
        Ok(self.input)
    }
}

impl Exchange {
    /// Whether a request line would be that of another exchange.
    fn is_begun(&self) -> bool {
        self.response.is_some()
            || self.request.as_ref().is_some_and(|lines| lines.iter().any(|(name, _)| name == b":method"))
    }
}

fn is_informational(lines: &Lines) -> bool {
    lines.iter().any(|(name, value)| name == b":status" && value.starts_with(b"1"))
}
