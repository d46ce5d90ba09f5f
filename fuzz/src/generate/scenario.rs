//! Scenarios: hosts, messages, and what collectors answer.

use libfuzzer_sys::fuzzer_mutate;
use rand::RngExt;
use serde_bytes::ByteBuf;
use serde_json::Value;

use super::{DICTIONARY, Source, Values, bytes, one};
use crate::host::{Known, Lines};
use crate::scenario::Scenario;
use crate::uploads::{Reply, Step};

const MOST_LINES: usize = 40;
const MOST_STEPS: usize = 48;

/// Mutates a scenario: its configuration, its host, a message, or what happens to its spans.
pub fn scenario(text: &[u8], source: &mut Source, config: fn(&mut Source) -> Value) -> Vec<u8> {
    let mut scenario = Scenario::parse(text).unwrap_or_default();
    let (request, response) = (&DICTIONARY.request, &DICTIONARY.response);
    for _ in 0..=source.random_range(0..=2) {
        match source.random_range(0..=15) {
            0 => scenario.config = config(source).to_string(),
            1 | 2 => know(&mut scenario.known, source),
            3..=8 => change(&mut scenario.request, request, source),
            9 | 10 => change(&mut scenario.response, response, source),
            11 => change(&mut scenario.trailers, response, source),
            12 => change_left(&mut scenario.request_left, request, source),
            13 => change_left(&mut scenario.response_left, response, source),
            _ => happen(&mut scenario.steps, source),
        }
    }
    scenario.print().into_bytes()
}

/// Changes one line of a message, or all of them.
fn change(lines: &mut Lines, known: &Values<ByteBuf>, source: &mut Source) {
    if source.random_ratio(1, 12) {
        *lines = some(known, source);
    }
    if lines.is_empty() || lines.len() < MOST_LINES && source.random_ratio(1, 4) {
        let at = source.random_range(0..=lines.len());
        lines.insert(at, line(known, source));
        return;
    }
    let at = source.random_range(0..=lines.len() - 1);
    match source.random_range(0..=6) {
        0 => _ = lines.remove(at),
        1 => lines.push(lines[at].clone()),
        2 => lines[at] = line(known, source),
        3 => lines[at].1 = value(&lines[at].0, known, source),
        _ => spoil(&mut lines[at].1, source),
    }
}

/// Others change what is left of a message, or not.
fn change_left(lines: &mut Option<Lines>, known: &Values<ByteBuf>, source: &mut Source) {
    if source.random_ratio(1, 2) {
        *lines = None;
    } else {
        change(lines.get_or_insert_default(), known, source);
    }
}

/// Many of the headers.
fn some(known: &Values<ByteBuf>, source: &mut Source) -> Lines {
    let names = known.iter().map(|(name, _)| ByteBuf::from(name.as_str()));
    let names: Vec<ByteBuf> = names.filter(|_| source.random_ratio(1, 2)).collect();
    names.into_iter().map(|name| (name.clone(), value(&name, known, source))).collect()
}

fn line(known: &Values<ByteBuf>, source: &mut Source) -> (ByteBuf, ByteBuf) {
    let (name, values) = one(known, source);
    (ByteBuf::from(name.as_str()), text(values, source))
}

fn value(name: &[u8], known: &Values<ByteBuf>, source: &mut Source) -> ByteBuf {
    let values = known.iter().find(|(other, _)| other.as_bytes() == name);
    values.map_or_else(ByteBuf::new, |(_, values)| text(values, source))
}

/// One of the texts, or two of them, or something like them, or anything, or too much of anything.
fn text(known: &[ByteBuf], source: &mut Source) -> ByteBuf {
    let mut text = match source.random_range(0..=15) {
        0 => bytes(source),
        1 => long(source),
        2 | 3 => {
            let first = one(known, source).as_slice();
            [first, one(&[",", ";", ", "], source).as_bytes(), one(known, source).as_slice()].concat()
        }
        _ => one(known, source).to_vec(),
    };
    if source.random_ratio(1, 6) {
        spoil(&mut text, source);
    }
    ByteBuf::from(text)
}

/// More than an attribute takes: bytes of one kind between others.
fn long(source: &mut Source) -> Vec<u8> {
    const FILLINGS: &[&[u8]] = &[b"a", b"/", b"/0", b"\xff", b"\n", b"\"", "\u{e9}".as_bytes(), b"\xf0\x9f"];
    let (filling, length) = (one(FILLINGS, source), 250 + source.random_range(0..=850));
    [bytes(source), filling.repeat(length), bytes(source)].concat()
}

/// Replaces, inserts or removes a byte, or has libFuzzer mutate the text by what it saw the code compare.
fn spoil(text: &mut Vec<u8>, source: &mut Source) {
    if source.random_ratio(1, 4) {
        let (size, room) = (text.len(), text.len() + 16);
        text.resize(room, 0);
        let size = fuzzer_mutate(text, size, room);
        text.truncate(size);
        return;
    }
    let byte = if source.random_ratio(1, 3) { source.random() } else { *one(b" \t,;:=-_@\"0afAF.", source) };
    let at = source.random_range(0..=text.len());
    let end = text.len().min(at + source.random_range(0..=1));
    text.splice(at..end, source.random_ratio(3, 4).then_some(byte));
}

/// Changes one thing that a host knows.
fn know(known: &mut Known, source: &mut Source) {
    let times = |source: &mut Source| source.random_ratio(15, 16).then(|| time(source));
    match source.random_range(0..=8) {
        0 => known.direction = (*one(&["inbound", "outbound", ""], source)).to_owned(),
        1 => known.has_seed = source.random_ratio(7, 8),
        2 => known.now = times(source),
        3 => known.ended = times(source),
        4 => {
            let (name, values) = one(&DICTIONARY.properties, source);
            known.texts.insert(name.clone(), text(values, source));
        }
        5 => {
            let number = *one(&[3, 0, 1, 2, -1, i64::MAX, i64::MIN], source);
            known.numbers.insert(one(&DICTIONARY.numbers, source).clone(), number);
        }
        6 => known.garbage = source.random_ratio(1, 2).then(|| ByteBuf::from(bytes(source))),
        7 => (known.is_silent, known.is_cut_off) = (source.random_ratio(1, 8), source.random_ratio(1, 2)),
        _ => known.refusals = (0..source.random_range(0..=6)).map(|_| source.random_ratio(1, 2)).collect(),
    }
}

fn time(source: &mut Source) -> u64 {
    if source.random_ratio(1, 8) {
        return source.random();
    }
    one(&DICTIONARY.times, source).wrapping_add(*one(&DICTIONARY.times, source))
}

/// Adds, removes or replaces steps.
fn happen(steps: &mut Vec<Step>, source: &mut Source) {
    let at = source.random_range(0..=steps.len());
    let end = steps.len().min(at + source.random_range(0..=2));
    let more: Vec<Step> = (0..source.random_range(0..=8)).map(|_| step(source)).collect();
    steps.splice(at..end, more);
    steps.truncate(MOST_STEPS);
}

fn step(source: &mut Source) -> Step {
    match source.random_range(0..=23) {
        0..=3 => Step::Tick,
        4 => Step::TickOf(place(source)),
        5..=8 => Step::Take(*one(&[1, 2, 3, 8, 32, 96], source)),
        9..=11 => Step::Answer(reply(source)),
        12 | 13 => Step::AnswerTo(place(source), reply(source)),
        14 => Step::NoAnswerTo(place(source)),
        15 | 16 => Step::Clock(time(source)),
        17 | 18 => Step::Pass(*one(&[5_000, 200, 499, 500, 1_000, 60_000, 3_600_000], source)),
        19 => one(&[Step::NoHost, Step::NotSent, Step::NoAnswer], source).clone(),
        20 => Step::Join,
        21 => Step::Leave(place(source)),
        22 => Step::Reload,
        _ => one(&[Step::Abandon, Step::NoClock, Step::Late(0), Step::Late(place(source))], source).clone(),
    }
}

/// A place among few.
fn place(source: &mut Source) -> u8 {
    *one(&[0, 1, 2, 3, u8::MAX], source)
}

/// An answer whose body is a message, perhaps in a frame of gRPC, or any bytes.
fn reply(source: &mut Source) -> Reply {
    let message =
        if source.random_ratio(1, 4) { bytes(source) } else { one(&DICTIONARY.bodies, source).to_vec() };
    let frame = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let body = if source.random_ratio(1, 2) { [&[0][..], &frame, &message].concat() } else { message };
    let [headers, trailers] = [(); 2].map(|()| some(&DICTIONARY.reply, source));
    Reply { headers, body: ByteBuf::from(body), trailers }
}
