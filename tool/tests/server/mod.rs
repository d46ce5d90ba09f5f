//! Running the command against a server of HTTP that answers what a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::command::end;

/// What the command's surroundings may not decide.
const FOREIGN: &[&str] = &[
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "CLICOLOR_FORCE",
    "NO_COLOR",
    "TRACEWARDEN_AUTHORIZATION",
];

/// How the command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What `--json` printed.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that it could not be done, and what the complaint names.
    pub(crate) fn assert_refused(&self, parts: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{self:?}");
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {:?}", self.err);
        }
    }
}

/// Runs a subcommand with an input and environment variables.
pub(crate) fn run(arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracewarden"));
    for name in FOREIGN {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied());
    let (code, out, err) = end(&mut command, input);
    Said { code, out, err }
}

/// A server; it ends with the test.
pub(crate) struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// One that writes to each connection what follows from the head of its request.
    pub(crate) fn writing(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let mut server = Self { port, asked: Arc::default(), ends: Arc::default(), thread: None };
        let (asked, ends, answer) = (Arc::clone(&server.asked), Arc::clone(&server.ends), Arc::new(answer));
        server.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &asked, &*answer));
            }
        }));
        server
    }

    /// One that answers with a status and a body.
    pub(crate) fn answering(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::writing(move |head, stream| {
            let (status, body) = answer(head);
            let length = body.len();
            // A client that has gone wants no answer.
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The heads of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the requests").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        // Only then does nobody listen there any more.
        let _ = woken.map(|_| self.thread.take().map(JoinHandle::join));
    }
}

fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Vec<String>>,
    answer: &(impl Fn(&str, &mut TcpStream) + ?Sized),
) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    while !head.ends_with("\r\n\r\n") {
        if !matches!(reader.read_line(&mut head), Ok(1..)) {
            return;
        }
    }
    asked.lock().expect("the requests").push(head.clone());
    answer(&head, &mut stream);
}
