//! Compares the format with the reference implementation: each opens what the other has encrypted.

use std::io::{BufReader, Cursor, Read as _, Seek as _, SeekFrom, Write as _};

use ::age::secrecy::ExposeSecret as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use proptest::prelude::*;

use super::key::NoKey;
use super::*;

/// The same key in this implementation and in the reference implementation.
fn pair() -> (Identity, ::age::x25519::Identity) {
    let theirs = ::age::x25519::Identity::generate();
    (theirs.to_string().expose_secret().parse().expect("a key"), theirs)
}

fn sealed(recipients: &[Recipient], text: &[u8]) -> Vec<u8> {
    let mut writer = seal(recipients, Vec::new()).expect("memory");
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

fn opened(identity: &Identity, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut text = Vec::new();
    open([identity], sealed)?.read_to_end(&mut text)?;
    Ok(text)
}

fn sealed_by_age(recipient: &::age::x25519::Recipient, text: &[u8]) -> Vec<u8> {
    let encryptor = ::age::Encryptor::with_recipients(std::iter::once(recipient as &dyn ::age::Recipient));
    let mut writer = encryptor.expect("one recipient").wrap_output(Vec::new()).expect("memory");
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

fn opened_by_age(identity: &::age::x25519::Identity, sealed: &[u8]) -> Vec<u8> {
    let decryptor = ::age::Decryptor::new_buffered(sealed).expect("a header");
    let mut reader = decryptor.decrypt(std::iter::once(identity as &dyn ::age::Identity)).expect("its key");
    let mut text = Vec::new();
    reader.read_to_end(&mut text).expect("whole");
    text
}

/// Lengths near the boundaries of chunks.
fn lengths() -> impl Strategy<Value = usize> {
    const CHUNK: usize = 64 * 1_024;
    prop_oneof![0..300_usize, CHUNK - 2..CHUNK + 3, 2 * CHUNK - 2..2 * CHUNK + 3]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_implementation_opens_what_the_other_has_sealed(length in lengths(), seed: u8) {
        let text: Vec<u8> = (0..length).map(|at| (at / 7) as u8 ^ seed).collect();
        let (ours, theirs) = pair();
        prop_assert_eq!(&opened(&ours, &sealed_by_age(&theirs.to_public(), &text)).unwrap(), &text);
        let stranger = Identity::generate().unwrap().recipient();
        prop_assert_eq!(&opened_by_age(&theirs, &sealed(&[stranger, ours.recipient()], &text)), &text);
    }

    #[test]
    fn any_place_can_be_read(length in lengths(), places in proptest::collection::vec(0..140_000_u64, 1..8)) {
        let text: Vec<u8> = (0..length).map(|at| (at / 3) as u8).collect();
        let (ours, theirs) = pair();
        let file = sealed_by_age(&theirs.to_public(), &text);
        let mut reader = open([&ours], Cursor::new(&file)).unwrap();
        for place in places {
            let place = reader.seek(SeekFrom::Start(place)).unwrap();
            let mut rest = Vec::new();
            reader.by_ref().take(100).read_to_end(&mut rest).unwrap();
            let place = place as usize;
            prop_assert_eq!(&rest[..], &text[place..length.min(place + 100)]);
            prop_assert_eq!(reader.stream_position().unwrap() as usize, place + rest.len());
        }
        prop_assert_eq!(reader.seek(SeekFrom::End(0)).unwrap() as usize, length);
    }

    /// After any change, reading returns the original text or an error.
    #[test]
    fn a_changed_byte_is_noticed(at in 0..70_000_usize, bit in 0..8_u32) {
        let (ours, _) = pair();
        let text = vec![7; 66_000];
        let mut file = sealed(&[ours.recipient()], &text);
        let at = at % file.len();
        file[at] ^= 1 << bit;
        prop_assert!(opened(&ours, &file).is_err(), "byte {}", at);
    }

    #[test]
    fn a_file_cut_short_is_noticed_wherever_it_is_read(length in 0..131_200_usize) {
        let (ours, _) = pair();
        let file = sealed(&[ours.recipient()], &vec![7; 131_072]);
        let torn = &file[..length.min(file.len() - 1)];
        prop_assert!(opened(&ours, torn).is_err());
        if let Ok(mut reader) = open([&ours], Cursor::new(torn)) {
            prop_assert!(reader.seek(SeekFrom::End(0)).is_err());
        }
    }

    #[test]
    fn no_header_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[ -~\n]{0,300}") {
        let (ours, _) = pair();
        for rest in [&bytes[..], text.as_bytes()] {
            let file = [b"age-encryption.org/v1\n", rest].concat();
            prop_assert!(opened(&ours, &file).is_err());
        }
    }
}

#[test]
fn keys_are_read_and_written_as_age_does() {
    let (ours, theirs) = pair();
    let public = theirs.to_public().to_string();
    assert_eq!(ours.recipient().to_string(), public);
    assert_eq!(public.parse::<Recipient>().unwrap(), ours.recipient());
    let secret = theirs.to_string().expose_secret().to_owned();
    let mut damaged = public.clone();
    damaged.pop();
    for wrong in [&damaged, &public.to_uppercase(), &secret, "age1", ""] {
        assert_eq!(wrong.parse::<Recipient>().unwrap_err(), NoKey, "{wrong}");
    }
    for wrong in [&secret.to_lowercase(), &public, &secret[..70]] {
        assert!(wrong.parse::<Identity>().is_err());
    }
    assert_eq!(format!("{ours:?}"), "Identity");
}

/// A file for one recipient with an additional stanza of another type in front.
#[test]
fn stanzas_of_other_kinds_are_passed_over_and_belong_to_what_is_authenticated() {
    let (ours, _) = pair();
    let file = sealed(&[ours.recipient()], b"hola");
    let strange = format!("-> grease a b\n{}\n\n", "A".repeat(64));
    let at = "age-encryption.org/v1\n".len();
    let changed = [&file[..at], strange.as_bytes(), &file[at..]].concat();
    assert!(matches!(opened(&ours, &changed), Err(OpenError::Malformed(_))), "it was not there");
    let header = header::read(&mut &changed[..]).expect("it can be read all the same");
    assert!(header.open([&ours]).is_err());
}

#[test]
fn a_key_that_contributes_nothing_seals_and_opens_nothing() {
    let (ours, _) = pair();
    assert!(seal(&[Recipient([0; 32].into())], Vec::new()).is_err());
    let file = sealed(&[ours.recipient()], b"hola");
    let share = file.windows(10).position(|bytes| bytes == b"-> X25519 ").unwrap() + 10;
    let mut changed = file;
    changed[share..share + 43].copy_from_slice(BASE64.encode([0; 32]).as_bytes());
    assert!(matches!(opened(&ours, &changed), Err(OpenError::NoKey)));
}

#[test]
fn a_header_without_end_takes_no_memory_without_end() {
    let (ours, _) = pair();
    let endless = BufReader::new(b"age-encryption.org/v1\n-> ".chain(io::repeat(b'a')));
    assert!(matches!(open([&ours], endless), Err(OpenError::Malformed(_))));
}
