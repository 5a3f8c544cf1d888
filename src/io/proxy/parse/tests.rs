//! What is taken for a header and what is not; what is written is read again; another parser agrees.

use super::parse;
use crate::io::proxy::fault::Fault;
use crate::io::proxy::header::{Header, Version};
use crate::io::proxy::parsed::Parsed;
use crate::io::proxy::tlv::{CRC32C, SSL, Tls};
use crate::io::proxy::write::write;
use crate::io::sys::address::Address;
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn ip(text: &str) -> Address {
    text.parse::<SocketAddr>().unwrap().into()
}

/// Of version 2, with its length.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xc8, 0x22, 1, 0xbb];

fn is_malformed(bytes: &[u8]) -> bool {
    matches!(parse(bytes), Parsed::Broken(Fault::Malformed(_)))
}

fn whole(bytes: &[u8]) -> Header {
    match parse(bytes) {
        Parsed::Whole(header, length) => {
            assert_eq!(length, bytes.len(), "{}", bytes.escape_ascii());
            header
        }
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

#[test]
fn a_line_of_text_says_who_is_served() {
    let header = whole(b"PROXY TCP4 192.0.2.1 198.51.100.2 51234 443\r\n");
    assert_eq!(header.version, Version::One);
    let ends = (ip("192.0.2.1:51234"), ip("198.51.100.2:443"));
    assert_eq!(header.ends, Some(ends));
    let header = whole(b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
    assert_eq!(
        header.ends,
        Some((ip("[2001:db8::1]:0"), ip("[::1]:65535")))
    );
    let longest = format!(
        "PROXY TCP6 {0} {0} 65535 65535\r\n",
        "ffff:".repeat(8).trim_end_matches(':')
    );
    assert_eq!(longest.len(), 104);
    whole(longest.as_bytes());
}

#[test]
fn of_an_unknown_line_all_else_is_ignored() {
    for rest in [
        "",
        " ",
        " ffff::1 ::1 1 2",
        " a b c d e f g h i",
        " \u{fc}\0",
    ] {
        let header = whole(format!("PROXY UNKNOWN{rest}\r\n").as_bytes());
        assert_eq!((header.ends, header.local), (None, false));
    }
}

#[test]
fn a_line_that_breaks_a_rule_is_malformed() {
    for rest in [
        "TCP4 192.0.2.1 198.51.100.2 51234",
        "TCP4 192.0.2.1 198.51.100.2 51234 443 1",
        "TCP4 192.0.2.1 198.51.100.2 51234 443 ",
        "TCP4  192.0.2.1 198.51.100.2 51234 443",
        "TCP4 192.0.2.256 198.51.100.2 51234 443",
        "TCP4 192.0.2.01 198.51.100.2 51234 443",
        "TCP4 ::1 ::1 51234 443",
        "TCP6 192.0.2.1 198.51.100.2 51234 443",
        "TCP6 fe80::1%eth0 ::1 51234 443",
        "TCP4 192.0.2.1 198.51.100.2 65536 443",
        "TCP4 192.0.2.1 198.51.100.2 051234 443",
        "TCP4 192.0.2.1 198.51.100.2 +51234 443",
        "TCP4 192.0.2.1 198.51.100.2 -1 443",
        "TCP4 192.0.2.1 198.51.100.2  443",
        "TCP4 192.0.2.1 198.51.100.2 51234 443\n",
        "TCP4 192.0.2.1\t198.51.100.2 51234 443",
        "TCP5 192.0.2.1 198.51.100.2 51234 443",
        "tcp4 192.0.2.1 198.51.100.2 51234 443",
        "UDP4 192.0.2.1 198.51.100.2 51234 443",
        "UNKNOWNS",
        "",
    ] {
        let line = format!("PROXY {rest}\r\n");
        assert!(is_malformed(line.as_bytes()), "{line:?}");
    }
    assert!(is_malformed(b"PROXY\r\n"));
    assert!(is_malformed(b"PROXYTCP4"), "no need to wait for its end");
    assert!(is_malformed(b"PROXY TCP4 \xff 198.51.100.2 51234 443\r\n"));
}

#[test]
fn a_line_may_have_107_bytes_and_no_more() {
    let filler = |length: usize| "x".repeat(length - "PROXY UNKNOWN \r\n".len());
    let line = |length| format!("PROXY UNKNOWN {}\r\n", filler(length)).into_bytes();
    whole(&line(107));
    assert!(is_malformed(&line(108)));
    assert_eq!(parse(&line(108)[..106]), Parsed::More { sure: true });
    assert!(
        is_malformed(&line(108)[..107]),
        "its end cannot come in time"
    );
}

#[test]
fn what_begins_otherwise_is_no_header() {
    for bytes in [
        "GET / HTTP/1.1\r\n",
        "PROXIMITY",
        "proxy TCP4",
        "\r\n\r\nx",
        "\0",
        "Q",
        "\n",
    ] {
        assert_eq!(parse(bytes.as_bytes()), Parsed::Other, "{bytes:?}");
    }
    assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\r"), Parsed::Other);
}

#[test]
fn a_beginning_may_become_a_header_and_is_sure_with_the_signature() {
    for bytes in [&b""[..], b"P", b"PROX", b"\r", &SIGNATURE[..11]] {
        assert_eq!(parse(bytes), Parsed::More { sure: false });
    }
    for bytes in [
        &b"PROXY"[..],
        b"PROXY TCP4 1",
        b"PROXY UNKNOWN\r",
        SIGNATURE,
    ] {
        assert_eq!(parse(bytes), Parsed::More { sure: true });
    }
}

#[test]
fn each_family_of_version_2_is_read() {
    let header = whole(&binary(0x21, 0x11, &V4));
    let ends = (ip("192.0.2.1:51234"), ip("198.51.100.2:443"));
    assert_eq!((header.version, header.ends), (Version::Two, Some(ends)));
    let v6 = [Ipv6Addr::LOCALHOST.octets(), [0xfe; 16]].concat();
    let header = whole(&binary(0x21, 0x21, &[&v6[..], &[0, 1, 0, 2]].concat()));
    let far = Ipv6Addr::from([0xfe; 16]);
    let ends = (ip("[::1]:1"), SocketAddr::new(far.into(), 2).into());
    assert_eq!(header.ends, Some(ends));
    let mut names = [0; 216];
    names[..5].copy_from_slice(b"/a\0b ");
    names[108..112].copy_from_slice(b"\0x\0y");
    let header = whole(&binary(0x21, 0x31, &names));
    let ends = (
        Address::Path(Path::new("/a").into()),
        Address::Abstract((*b"x\0y").into()),
    );
    assert_eq!(header.ends, Some(ends));
    let header = whole(&binary(0x21, 0x31, &[b'/'; 216]));
    let full = || Address::Path(Path::new(&"/".repeat(108)).into());
    assert_eq!(header.ends, Some((full(), full())));
    let header = whole(&binary(0x21, 0x31, &[0; 216]));
    assert_eq!(header.ends, Some((Address::Unnamed, Address::Unnamed)));
}

#[test]
fn who_speaks_for_itself_or_says_no_address_is_taken_as_it_is() {
    for (command, family, block) in [
        (0x20, 0x00, &b""[..]),
        (0x20, 0x11, &V4),
        (0x20, 0x11, b"short"),
        (0x20, 0xff, b"whatever"),
        (0x21, 0x00, b""),
        (0x21, 0x00, &V4),
        (0x21, 0x01, b"x"),
        (0x21, 0x12, &V4),
        (0x21, 0x10, &V4),
    ] {
        let header = whole(&binary(command, family, block));
        assert_eq!((header.ends, header.local), (None, command == 0x20));
    }
    let header = whole(&binary(0x20, 0x00, b"\x05\0\x02id"));
    assert_eq!(header.value(5), Some(&b"id"[..]));
    let header = whole(&binary(0x20, 0x11, &[&V4[..], b"\x05\0\x02id"].concat()));
    assert_eq!(header.value(5), Some(&b"id"[..]));
}

#[test]
fn a_binary_header_that_breaks_a_rule_is_malformed() {
    for (command, family, block) in [
        (0x11, 0x11, &V4[..]),
        (0x31, 0x11, &V4),
        (0x22, 0x11, &V4),
        (0x21, 0x41, &V4),
        (0x21, 0x13, &V4),
        (0x21, 0x11, &V4[..11]),
        (0x21, 0x21, &V4),
        (0x21, 0x31, &[b'/'; 215]),
    ] {
        assert!(
            is_malformed(&binary(command, family, block)),
            "{command} {family}"
        );
    }
    for tlvs in [
        &b"\x01"[..],
        b"\x01\0",
        b"\x01\0\x02x",
        b"\x01\0\0\x01",
        b"\x03\0\x03abc",
        b"\x20\0\x04abcd",
        b"\x20\0\x07\x01\0\0\0\0\x21\0",
    ] {
        let block = [&V4[..], tlvs].concat();
        assert!(is_malformed(&binary(0x21, 0x11, &block)), "{tlvs:?}");
    }
    assert!(
        is_malformed(&[SIGNATURE, &[0x10]].concat()),
        "no need to wait for the rest"
    );
}

#[test]
fn the_checksum_is_looked_at_where_there_is_one() {
    let header = |tlvs| Header {
        version: Version::Two,
        local: false,
        ends: Some((ip("192.0.2.1:51234"), ip("198.51.100.2:443"))),
        tlvs,
    };
    let value = |bytes: &[u8]| bytes.into();
    let bytes = write(&header(vec![
        (5, value(b"id")),
        (CRC32C, value(b"")),
        (1, value(b"h2")),
    ]))
    .unwrap();
    whole(&bytes);
    for at in (0..bytes.len()).filter(|at| ![13, 14, 15, 33].contains(at)) {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(
                !matches!(parse(&changed), Parsed::Whole(..)),
                "byte {at} bit {bit}"
            );
        }
    }
    let last = bytes.len() - 1;
    let mut changed = bytes;
    changed[last] ^= 1;
    assert_eq!(parse(&changed), Parsed::Broken(Fault::Checksum));
    let local = binary(0x20, 0x00, b"\x03\0\x04abcd");
    assert_eq!(parse(&local), Parsed::Broken(Fault::Checksum));
}

#[test]
fn the_clients_tls_is_told_and_verified_only_with_a_certificate() {
    let tls = |client: u8, verify: u32| {
        let parts = b"\x21\0\x07TLSv1.3\x22\0\x02me\x23\0\x03AES\x25\0\x03RSA";
        let value = [&[client][..], &verify.to_be_bytes(), parts].concat();
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        let block = [&V4[..], &[SSL], &length, &value].concat();
        whole(&binary(0x21, 0x11, &block))
    };
    let told = |verified| Tls {
        version: Some(b"TLSv1.3"),
        cn: Some(b"me"),
        cipher: Some(b"AES"),
        verified,
    };
    assert_eq!(tls(7, 0).tls(), Some(told(true)));
    assert_eq!(tls(5, 0).tls(), Some(told(true)));
    assert_eq!(tls(7, 1).tls(), Some(told(false)));
    assert_eq!(
        tls(1, 0).tls(),
        Some(told(false)),
        "HAProxy says so without a certificate"
    );
    assert_eq!(tls(0, 0).tls(), None);
    assert_eq!(whole(&binary(0x21, 0x11, &V4)).tls(), None);
}

#[test]
fn values_longer_than_a_header_are_not_written() {
    let header = |length| Header {
        version: Version::Two,
        local: true,
        ends: None,
        tlvs: vec![(0xe0, vec![0; length].into())],
    };
    let most = 65_535 - 3;
    assert_eq!(whole(&write(&header(most)).unwrap()), header(most));
    assert_eq!(write(&header(most + 1)), None);
    assert_eq!(write(&header(70_000)), None);
}

fn v4() -> impl Strategy<Value = Address> {
    (any::<u32>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(Ipv4Addr::from_bits(ip).into(), port).into())
}

fn v6() -> impl Strategy<Value = Address> {
    (any::<u128>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::new(Ipv6Addr::from_bits(ip).into(), port).into())
}

fn unix() -> impl Strategy<Value = Address> {
    prop_oneof![
        Just(Address::Unnamed),
        "[a-z/]{1,108}".prop_map(|path| Address::Path(Path::new(&path).into())),
        "[a-z]{1,107}".prop_map(|name| Address::Abstract(name.into_bytes().into())),
    ]
}

fn binary_ends() -> impl Strategy<Value = Option<(Address, Address)>> {
    prop_oneof![
        Just(None),
        (v4(), v4()).prop_map(Some),
        (v6(), v6()).prop_map(Some),
        (unix(), unix()).prop_map(Some),
    ]
}

prop_compose! {
    fn binary_header()(
        ends in binary_ends(),
        // Checksum and TLS have values of their own.
        tlvs in vec((any::<u8>().prop_filter("plain", |kind| ![CRC32C, SSL].contains(kind)),
                     vec(any::<u8>(), 0..40).prop_map(Into::into)), 0..5),
    ) -> Header {
        Header { version: Version::Two, local: ends.is_none(), ends, tlvs }
    }
}

prop_compose! {
    fn text_header()(
        ends in prop_oneof![Just(None), (v4(), v4()).prop_map(Some), (v6(), v6()).prop_map(Some)],
    ) -> Header {
        Header { version: Version::One, local: false, ends, tlvs: Vec::new() }
    }
}

fn header() -> impl Strategy<Value = Header> {
    prop_oneof![binary_header(), text_header()]
}

/// Bytes that are a header but for some of them.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    (
        header(),
        vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    )
        .prop_map(|(header, changes)| {
            let mut bytes = write(&header).unwrap();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_whatever_follows(header in header(), after in vec(any::<u8>(), 0..20)) {
        let bytes = write(&header).unwrap();
        let all = [&bytes[..], &after].concat();
        prop_assert_eq!(parse(&all), Parsed::Whole(header, bytes.len()));
    }

    #[test]
    fn each_beginning_of_a_header_waits_for_more(header in header()) {
        let bytes = write(&header).unwrap();
        for length in 0..bytes.len() {
            let parsed = parse(&bytes[..length]);
            prop_assert!(matches!(parsed, Parsed::More { .. }), "{} bytes: {:?}", length, parsed);
        }
    }

    #[test]
    fn what_is_decided_stays_so_with_more_bytes(bytes in nearly(), after in vec(any::<u8>(), 0..200)) {
        let all = [&bytes[..], &after].concat();
        let mut decided = None;
        for length in 0..=all.len() {
            let parsed = parse(&all[..length]);
            if let Some(before) = &decided {
                prop_assert_eq!(&parsed, before);
            } else if !matches!(parsed, Parsed::More { .. }) {
                decided = Some(parsed);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        parse(&bytes);
        parse(&[SIGNATURE, &bytes].concat());
        parse(&[b"PROXY ", &bytes[..]].concat());
    }

    /// The crate `ppp`, of complete headers with addresses: it takes what is too short for a mistake, says nothing of
    /// checksums, and allows a plus before a port.
    #[test]
    fn another_parser_reads_the_same_addresses(bytes in nearly()) {
        let Parsed::Whole(Header { ends: Some((Address::Ip(source), Address::Ip(destination))), version, .. }, length) = parse(&bytes) else {
            return Ok(());
        };
        if version == Version::Two {
            let theirs = ppp::v2::Header::try_from(&bytes[..length]).unwrap();
            prop_assert_eq!(theirs.addresses, ppp::v2::Addresses::from((source, destination)));
        } else {
            let theirs = ppp::v1::Header::try_from(&bytes[..length]).unwrap();
            prop_assert_eq!(theirs.addresses, ppp::v1::Addresses::from((source, destination)));
        }
    }

    #[test]
    fn what_another_parser_takes_is_taken(bytes in nearly()) {
        use ppp::v2::{Addresses, Command, Protocol};
        let Ok(theirs) = ppp::v2::Header::try_from(&bytes[..]) else {
            return Ok(());
        };
        let sums = theirs.tlvs().any(|tlv| tlv.is_err() || tlv.is_ok_and(|tlv| [CRC32C, SSL].contains(&tlv.kind)));
        if theirs.command == Command::Local || theirs.protocol != Protocol::Stream || sums || theirs.addresses == Addresses::Unspecified {
            return Ok(());
        }
        let length = theirs.len();
        let taken = matches!(parse(&bytes), Parsed::Whole(Header { ends: Some(_), .. }, found) if found == length);
        prop_assert!(taken);
    }
}
