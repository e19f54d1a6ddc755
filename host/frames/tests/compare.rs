//! The decoder against tungstenite: with the corpus of the fuzz target, and with frames that are made at random.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "this is what a failed test does")]

mod properties;

use std::fs;
use std::path::Path;

use hassock_frames::Encoded;
use properties::{MAX_MESSAGE, Seen};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Message, WebSocket};

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![first];
    let mask_bit = if random.random_bool(0.99) { 0x80 } else { 0 };
    // A length may be written with more bytes than it needs.
    match payload.len() {
        length @ ..126 if random.random_bool(0.95) => bytes.push(mask_bit | length as u8),
        length @ ..0x1_0000 if random.random_bool(0.95) => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let mut payload = payload.to_vec();
    if mask_bit != 0 {
        let key: [u8; 4] = random.random();
        bytes.extend(key);
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    bytes.extend(payload);
    bytes
}

/// Mostly what a client may send, and sometimes a mistake.
fn random_frames(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut is_fragmented = false;
    for _ in 0..random.random_range(1..12) {
        let control = random.random_bool(0.3);
        let opcode: u8 = match () {
            () if random.random_bool(0.02) => random.random_range(0..16),
            () if control => [8, 9, 9, 10][random.random_range(0..4)],
            () if is_fragmented => 0,
            () => random.random_range(1..=2),
        };
        let is_final = control || random.random_bool(0.7);
        if !control {
            is_fragmented = !is_final;
        }
        let length = match random.random_range(0..10) {
            0 => 0,
            1 => random.random_range(120..MAX_MESSAGE + 20),
            _ => random.random_range(0..40),
        };
        let length = if control { length.min(random.random_range(100..128)) } else { length };
        let mut payload: Vec<u8> = match random.random_range(0..3) {
            0 => (0..length).map(|_| random.random()).collect(),
            1 => "aäß€😀".bytes().cycle().take(length).collect(),
            _ => vec![b'x'; length],
        };
        if opcode == 8 && payload.len() >= 2 {
            let code: u16 = if random.random_bool(0.8) { 1000 } else { random.random_range(990..5010) };
            payload.splice(..2, code.to_be_bytes());
        }
        let reserved = if random.random_bool(0.01) { random.random_range(1..8) << 4 } else { 0 };
        let fin = if is_final { 0x80 } else { 0 };
        bytes.extend(frame(fin | reserved | opcode, &payload, random));
    }
    bytes
}

fn pieces(bytes: &[u8], random: &mut StdRng) -> Vec<Vec<u8>> {
    let longest = [1, 3, 20, 1000][random.random_range(0..4)];
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(random.random_range(1..=longest).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

#[test]
fn the_decoder_does_what_tungstenite_does() {
    let (mut messages, mut failures) = (0, 0);
    for seed in 0..20_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let bytes = match seed % 10 {
            0 => (0..random.random_range(0..60)).map(|_| random.random()).collect(),
            _ => random_frames(&mut random),
        };
        let seen = properties::compare(&bytes, &pieces(&bytes, &mut random));
        messages += seen.len();
        failures += usize::from(matches!(seen.last(), Some(Seen::Failed(_))));
    }
    assert!(messages > 40_000 && failures > 1_000, "{messages} and {failures}: too few to compare");
}

/// `host/fuzz/run frames` looks for further inputs.
#[test]
fn the_corpus_of_the_fuzz_target_is_decoded_as_tungstenite_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/frames");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.len() >= 30, "{} files", files.len());
    files.iter().for_each(|input| properties::check(input));
}

#[test]
fn tungstenite_reads_what_is_encoded() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
        let text = "x".repeat(length);
        for (encoded, expected) in [
            (Encoded::text(&text), Message::text(text.clone())),
            (Encoded::binary(text.as_bytes()), Message::binary(text.clone().into_bytes())),
        ] {
            let mut socket = WebSocket::from_raw_socket(properties::Once(encoded.as_bytes()), Role::Client, None);
            assert_eq!(socket.read().unwrap(), expected);
            assert_eq!((encoded.payload_len(), encoded.payload()), (length, expected.clone().into_data()));
            assert_eq!(encoded.as_text(), expected.is_text().then_some(text.as_str()));
        }
    }
    let reason = |length: usize| CloseFrame { code: CloseCode::Away, reason: "ä".repeat(length).into() };
    for (encoded, expected) in [
        (Encoded::ping(), Message::Ping(Vec::new().into())),
        (Encoded::pong(b"abc"), Message::Pong(b"abc".to_vec().into())),
        (Encoded::close(None), Message::Close(None)),
        (Encoded::close(Some(&reason(61))), Message::Close(Some(reason(61)))),
        (Encoded::close(Some(&reason(62))), Message::Close(Some(reason(61)))),
    ] {
        let mut socket = WebSocket::from_raw_socket(properties::Once(encoded.as_bytes()), Role::Client, None);
        assert_eq!(socket.read().unwrap(), expected);
        assert_eq!(encoded.as_text(), None);
    }
}
