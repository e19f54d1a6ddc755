//! Compressed messages (RFC 7692): those of clients that compress in other ways than the host, and those of the host.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "this is what a failed test does")]

mod deflated;

use std::fs;
use std::path::Path;

use deflated::{Seen, decode, frame, message};
use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};
use hassock_frames::{Compression, Decoder, Deflate, Encoded, Incoming, Payload, Window};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const MIB: usize = 1 << 20;

/// The data of a compressed message, as some client may write it.
fn compress(plain: &[u8], random: &mut StdRng) -> Vec<u8> {
    let level = Level::new(random.random_range(0..10));
    let mut state = Compress::new_with_window_bits(level, false, random.random_range(9..16));
    let mut data = Vec::with_capacity(2 * plain.len() + 1000);
    let mut rest = plain;
    // Several blocks, perhaps with nothing in them.
    for _ in 0..random.random_range(0..3) {
        let (part, after) = rest.split_at(random.random_range(0..=rest.len()));
        let flush = [FlushCompress::None, FlushCompress::Sync, FlushCompress::Full][random.random_range(0..3)];
        state.compress_vec(part, &mut data, flush).unwrap();
        rest = after;
    }
    match random.random_range(0..4) {
        // With a last block, and with or without the byte behind it.
        0 => {
            assert_eq!(state.compress_vec(rest, &mut data, FlushCompress::Finish).unwrap(), Status::StreamEnd);
            data.push(0);
        }
        1 => assert_eq!(state.compress_vec(rest, &mut data, FlushCompress::Finish).unwrap(), Status::StreamEnd),
        _ => {
            state.compress_vec(rest, &mut data, FlushCompress::Sync).unwrap();
            // zlib flushes nothing if there is nothing to flush.
            if data.ends_with(&[0, 0, 0xff, 0xff]) {
                data.truncate(data.len() - 4);
            }
        }
    }
    data
}

fn random_text(random: &mut StdRng, longest: usize) -> String {
    let length = random.random_range(0..=longest);
    match random.random_range(0..4) {
        0 => "a".repeat(length),
        1 => "aäß€😀".chars().cycle().take(length / 2).collect(),
        2 => (0..length).map(|_| char::from(random.random_range(b' '..b'~'))).collect(),
        _ => (0..length / 20).map(|number| format!("{{\"number\":{number}}},")).collect(),
    }
}

/// Frames of a client that compresses most of its messages, and what they mean.
fn random_frames(random: &mut StdRng) -> (Vec<u8>, Vec<Seen>) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..random.random_range(1..6) {
        let text = random_text(random, 3_000);
        let opcode: u8 = random.random_range(1..=2);
        let is_compressed = random.random_bool(0.8);
        let data = if is_compressed { compress(text.as_bytes(), random) } else { text.clone().into_bytes() };
        let mut rest = data.as_slice();
        let mut first = opcode | if is_compressed { 0x40 } else { 0 };
        while random.random_bool(0.5) {
            let (part, after) = rest.split_at(random.random_range(0..=rest.len()));
            bytes.extend(frame(first, part));
            (first, rest) = (0, after);
            if random.random_bool(0.3) {
                bytes.extend(frame(0x89, b"ping"));
                expected.push(Seen::Ping(b"ping".to_vec()));
            }
        }
        bytes.extend(frame(0x80 | first, rest));
        expected.push(if opcode == 1 { Seen::Text(text) } else { Seen::Binary(text.into_bytes()) });
    }
    (bytes, expected)
}

#[test]
fn messages_arrive_however_they_were_compressed() {
    for seed in 0..4_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let (bytes, expected) = random_frames(&mut random);
        let longest = [1, 5, 100, 5_000][random.random_range(0..4)];
        let lengths: Vec<usize> = (0..20).map(|_| random.random_range(1..=longest)).collect();
        assert_eq!(decode(&bytes, &lengths, deflated::MAX_MESSAGE), expected, "seed {seed}");
    }
}

#[test]
fn data_that_was_changed_does_no_harm() {
    let mut failures = 0;
    for seed in 0..4_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut data = compress(random_text(&mut random, 6_000).as_bytes(), &mut random);
        for _ in 0..random.random_range(0..3) {
            let place = random.random_range(0..data.len());
            data[place] ^= 1 << random.random_range(0..8);
        }
        data.truncate(random.random_range(data.len() / 2..=data.len()));
        deflated::check_payload(&data, &[random.random_range(1..500)]);
        let seen = decode(&message(&data, &[]), &[], deflated::MAX_MESSAGE);
        failures += usize::from(seen == [Seen::NotDeflate]);
    }
    assert!((1_000..3_900).contains(&failures), "{failures} of 4,000 were not valid");
}

/// `host/fuzz/run deflate` looks for further inputs.
#[test]
fn the_corpus_of_the_fuzz_target_is_decoded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/deflate");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(files.len() >= 20, "{} files", files.len());
    files.iter().for_each(|input| deflated::check(input));
}

/// Section 7.2.3.
#[test]
fn the_examples_of_the_rfc_are_decoded() {
    for data in [
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
        // Without compression, with a last block, and in two blocks.
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ] {
        for lengths in [&[][..], &[3], &[1]] {
            assert_eq!(decode(&message(data, lengths), &[], 5), [Seen::Binary(b"Hello".to_vec())], "{data:x?}");
        }
        assert_eq!(decode(&message(data, &[]), &[], 4), [Seen::TooLarge]);
    }
    for empty in [&[0x00][..], &[]] {
        assert_eq!(decode(&message(empty, &[]), &[], 0), [Seen::Binary(Vec::new())]);
    }
    // The second message of 7.2.3.2 refers to the first one, which was agreed not to be done.
    let two = [&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], &[0xf2, 0x00, 0x11, 0x00, 0x00]];
    let two: Vec<u8> = two.iter().flat_map(|data| message(data, &[])).collect();
    assert_eq!(decode(&two, &[], 5), [Seen::Binary(b"Hello".to_vec()), Seen::NotDeflate]);
}

#[test]
fn what_is_not_valid_is_refused() {
    for data in [
        // A kind of block that does not exist, the end in the middle of a block, and lengths that do not fit.
        &[0x07][..],
        &[0xf2, 0x48, 0xcd],
        &[0x00, 0x09, 0x00, 0xf6, 0xff, 0x48],
        &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
        // What follows a last block is a block too.
        &[0x03, 0x00, 0xff],
    ] {
        assert_eq!(decode(&message(data, &[]), &[], 100), [Seen::NotDeflate], "{data:x?}");
    }
    let mut text = message(&[0x00, 0x02, 0x00, 0xfd, 0xff, 0xc3, 0x28, 0x00], &[]);
    text[0] = 0xc1;
    assert_eq!(decode(&text, &[], 100), [Seen::NotUtf8]);
}

#[test]
fn the_bit_of_compression_is_only_where_it_may_be() {
    let failed = |bytes: &[u8]| match decode(bytes, &[], 100).as_slice() {
        [Seen::Failed(error)] => error.clone(),
        other => format!("{other:?}"),
    };
    let reserved = "Protocol(NonZeroReservedBits)";
    // On a ping, a continuation, together with another bit.
    for bytes in [
        frame(0xc9, &[]),
        frame(0xc8, &[]),
        [frame(0x42, &[0]), frame(0xc0, &[])].concat(),
        [frame(0x02, &[0]), frame(0x40, &[])].concat(),
        frame(0xe2, &[0]),
        frame(0xa2, &[0]),
    ] {
        assert_eq!(failed(&bytes), reserved, "{bytes:x?}");
    }
    let expected = "Protocol(ExpectedFragment(Data(Binary)))";
    for (one, two) in [(0x42, 0xc2), (0x02, 0xc2), (0x42, 0x82)] {
        let error = failed(&[frame(one, &[0]), frame(two, &[0])].concat());
        assert!(error.contains("ExpectedFragment"), "{error}, as {expected}");
    }
    let mut decoder = Decoder::new(100, Compression::None);
    let mut bytes = frame(0xc2, &[0]);
    let error = decoder.decode(&mut bytes.as_mut_slice()).unwrap_err();
    assert_eq!(format!("{error:?}"), format!("Frame({reserved})"));
}

#[test]
fn a_message_has_nothing_of_the_one_before() {
    let secret: Vec<u8> = "secret".bytes().cycle().take(40_000).collect();
    let mut random = StdRng::seed_from_u64(1);
    let before = message(&compress(&secret, &mut random), &[]);
    // It begins with a copy of what is 32 KiB before it.
    let spy = message(&[0x1a, 0xbd, 0xff, 0x1f, 0x00], &[]);
    let seen = decode(&[before, spy].concat(), &[], 40_000);
    assert_eq!(seen, [Seen::Binary(secret), Seen::NotDeflate]);
}

/// A message may be as long as the limit, and becomes longer if it cannot be compressed.
#[test]
fn the_limit_is_that_of_the_message() {
    let mut random = StdRng::seed_from_u64(2);
    let plain: Vec<u8> = (0..100_000).map(|_| random.random()).collect();
    let mut data = Vec::with_capacity(200_000);
    let mut state = Compress::new_with_window_bits(Level::new(6), false, 15);
    state.compress_vec(&plain, &mut data, FlushCompress::Sync).unwrap();
    data.truncate(data.len() - 4);
    assert!(data.len() > plain.len());
    for lengths in [&[][..], &[1_000]] {
        assert_eq!(decode(&message(&data, lengths), &[30_000], 100_000), [Seen::Binary(plain.clone())]);
        assert_eq!(decode(&message(&data, lengths), &[30_000], 99_999), [Seen::TooLarge]);
    }
    // The header of a frame is enough to refuse what no message becomes.
    assert_eq!(decode(&message(&vec![0; 110_000], &[])[..14], &[], 100_000), [Seen::TooLarge]);
    let plain = frame(0x82, &vec![0; 100_001]);
    assert_eq!(decode(&plain[..14], &[], 100_000), [Seen::TooLarge], "not compressed");
}

/// 1 GiB of zeros.
fn bomb() -> Vec<u8> {
    let mut state = Compress::new_with_window_bits(Level::new(9), false, 15);
    let mut part = Vec::with_capacity(MIB);
    state.compress_vec(&vec![0; MIB], &mut part, FlushCompress::Full).unwrap();
    let mut data = part.repeat(1024);
    data.truncate(data.len() - 4);
    data
}

#[test]
fn a_bomb_costs_as_much_as_a_message() {
    let data = bomb();
    assert!(data.len() < 2 * MIB, "{} bytes", data.len());
    let limit = 4 * MIB;
    let mut decoder = Decoder::new(limit, Compression::Deflate);
    let mut bytes = message(&data, &[]);
    let (mut input, mut most, mut turns) = (bytes.as_mut_slice(), 0, 0);
    let error = loop {
        match decoder.decode(&mut input) {
            Ok(None) => turns += 1,
            Ok(Some(incoming)) => panic!("{incoming:?}"),
            Err(error) => break error,
        }
        assert!(decoder.is_busy());
        most = most.max(decoder.held());
    };
    assert!(format!("{error:?}").contains("MessageTooLong"), "{error:?}");
    assert!(most < data.len() + limit + (64 << 10), "{most} bytes in memory");
    assert!(turns >= 8, "{turns} turns");
}

/// Data that means nothing takes time too.
#[test]
fn empty_blocks_are_read_in_turns() {
    let mut data = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(MIB / 5);
    data.truncate(data.len() - 4);
    let mut bytes = message(&data, &[]);
    let mut decoder = Decoder::new(MIB, Compression::Deflate);
    let (mut input, mut turns) = (bytes.as_mut_slice(), 0);
    while decoder.decode(&mut input).unwrap().is_none() {
        assert!(decoder.is_busy());
        turns += 1;
    }
    assert!(turns >= 64, "{turns} turns");
    assert_eq!(decoder.held(), 0);
}

#[test]
fn what_is_incomplete_is_held_and_nothing_else() {
    let mut decoder = Decoder::new(MIB, Compression::Deflate);
    let mut random = StdRng::seed_from_u64(3);
    let data = compress(&vec![7; MIB], &mut random);
    let mut bytes = message(&data, &[100]);
    let half = bytes.len() / 2;
    let (first, second) = bytes.split_at_mut(half);
    assert_eq!(decoder.decode(&mut &mut *first).unwrap(), None);
    assert!(!decoder.is_busy() && decoder.held() <= 2 * data.len(), "{} bytes before the end", decoder.held());
    let mut input = second;
    let message = loop {
        if let Some(message) = decoder.decode(&mut input).unwrap() {
            break message;
        }
        assert!(decoder.is_busy() && decoder.held() > data.len(), "{} bytes", decoder.held());
    };
    assert_eq!(message, Incoming::Binary(vec![7; MIB].into()));
    assert_eq!((decoder.held(), decoder.is_busy()), (0, false));
}

/// Decompress the payload of a frame of ours, as a client does that has a window of so many bits.
fn decompress(data: &[u8], bits: u8) -> Vec<u8> {
    let mut state = Decompress::new_with_window_bits(false, bits);
    let mut plain = Vec::with_capacity(MIB);
    let whole = [data, &[0, 0, 0xff, 0xff]].concat();
    // Little by little: only what leaves its window is what a client cannot read any more.
    for part in whole.chunks(100) {
        state.decompress_vec(part, &mut plain, FlushDecompress::Sync).unwrap();
    }
    plain
}

#[test]
fn clients_read_what_is_compressed() {
    let mut compressed = 0;
    for seed in 0..2_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let texts: Vec<String> = (0..random.random_range(1..4)).map(|_| random_text(&mut random, 5_000)).collect();
        let payloads = texts.iter().enumerate().map(|(index, text)| match index % 2 {
            0 => Payload::text(text),
            _ => Payload::binary(text.as_bytes()),
        });
        let plain = Encoded::messages(payloads);
        let (window, bits) = [(Window::Full, 15), (Window::Small, 9)][random.random_range(0..2)];
        let how = Deflate { window, level: random.random_range(1..10), min_bytes: random.random_range(0..200) };
        let deflated = plain.clone().deflated(how);
        assert!(deflated.as_bytes().len() <= plain.as_bytes().len());
        assert_eq!((deflated.frames(), deflated.payload_len()), (plain.frames(), plain.payload_len()));
        for (frame, text) in deflated.split().zip(&texts) {
            let is_compressed = frame.as_bytes()[0] & 0x40 != 0;
            compressed += usize::from(is_compressed);
            let payload = frame.payload();
            let read = if is_compressed { decompress(&payload, bits) } else { payload.to_vec() };
            assert!(read == text.as_bytes(), "seed {seed}: {how:?}");
            assert!(!is_compressed || (payload.len() < text.len() && text.len() >= how.min_bytes as usize));
        }
        assert!(deflated.inflated() == plain, "seed {seed}");
    }
    assert!(compressed > 1_500, "{compressed} were compressed");
}

#[test]
fn what_does_not_become_shorter_is_sent_as_it_is() {
    let how = Deflate { window: Window::Full, level: 6, min_bytes: 10 };
    let mut random = StdRng::seed_from_u64(4);
    let noise: Vec<u8> = (0..10_000).map(|_| random.random()).collect();
    for plain in [
        Encoded::binary(&noise),
        Encoded::binary(&[]),
        Encoded::text("aaaaaaaaa"),
        Encoded::ping(),
        Encoded::pong(&[0; 100]),
        Encoded::close(None),
    ] {
        let deflated = plain.clone().deflated(how);
        assert_eq!(deflated, plain);
        assert_eq!(deflated.as_bytes().as_ptr(), plain.as_bytes().as_ptr(), "the same memory");
    }
    let short = Encoded::text("aaaaaaaaaaaaaaaaaaaa");
    let deflated = short.clone().deflated(how);
    assert!(deflated.as_bytes().len() < short.as_bytes().len());
    assert_eq!((deflated.as_text(), deflated.clone().deflated(how)), (None, deflated.clone()), "once is enough");
}
