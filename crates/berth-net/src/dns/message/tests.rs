//! Messages as bytes: good ones, and any.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// A query for a name, with an OPT record if a size is given.
fn query(name: &str, kind: u16, size: Option<u16>) -> Vec<u8> {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    if let Some(size) = size {
        packet[11] = 1;
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        // Version 0, DO; one option of two bytes.
        packet.extend([0, 0, 0x80, 0, 0, 6, 0, 10, 0, 2, 1, 2]);
    }
    packet
}

#[test]
fn a_query_is_read() {
    let packet = query("Web.Example", 28, Some(1232));
    let query = parse(&packet).unwrap();
    assert_eq!(query.name.key(), Some(&b"web.example"[..]));
    assert_eq!((query.name.labels(), query.kind, query.class), (2, 28, 1));
    assert_eq!(
        query.edns.map(|edns| (edns.size, edns.version, edns.flags)),
        Some((1232, 0, 0x8000))
    );
    assert_eq!(query.datagram_limit(), 1232);
    assert_eq!(query.head.len(), 12 + 13 + 4);
}

#[test]
fn every_client_takes_512_bytes_and_none_more_than_a_packet() {
    for (size, limit) in [
        (None, 512),
        (Some(0), 512),
        (Some(511), 512),
        (Some(u16::MAX), 65_507),
    ] {
        assert_eq!(parse(&query("a", 1, size)).unwrap().datagram_limit(), limit);
    }
}

#[test]
fn the_root_has_no_labels_and_a_dot_in_a_label_no_key() {
    let root = query("", 2, None);
    assert_eq!(parse(&root).unwrap().name.labels(), 0);
    let mut dotted = query("a_b", 1, None);
    dotted[14] = b'.';
    assert_eq!(parse(&dotted).unwrap().name.key(), None);
}

#[test]
fn what_is_no_query_is_told_why_or_nothing() {
    let good = query("web", 1, Some(512));
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        parse(&packet).map(|_| ()).unwrap_err()
    };
    let form = Malformed::Code(Code::FormErr);
    assert_eq!(changed(&|p| p.truncate(11)), Malformed::Noise);
    assert_eq!(changed(&|p| p[2] |= 0x80), Malformed::Noise);
    assert_eq!(changed(&|p| p[2] |= 0x28), Malformed::Code(Code::NotImp));
    for (what, change) in [
        (
            "no question",
            &(|p: &mut Vec<u8>| p[5] = 0) as &dyn Fn(&mut Vec<u8>),
        ),
        ("two questions", &|p| p[5] = 2),
        ("an answer", &|p| p[7] = 1),
        ("an authority", &|p| p[9] = 1),
        ("more records than there are", &|p| p[11] = 2),
        ("fewer records than there are", &|p| p[11] = 0),
        ("bytes behind the end", &|p| p.push(0)),
        ("a cut record", &|p| p.truncate(p.len() - 1)),
        ("a cut name", &|p| p.truncate(14)),
        ("a pointer to itself", &|p| {
            p[12..14].copy_from_slice(&[0xc0, 12])
        }),
        ("a label of an unknown kind", &|p| p[12] = 0x43),
        ("an OPT record with a name", &|p| p[21] = 1),
    ] {
        assert_eq!(changed(change), form, "{what}");
    }
    let mut twice = good.clone();
    twice.extend_from_slice(&good[21..]);
    twice[11] = 2;
    assert_eq!(
        parse(&twice).map(|_| ()).unwrap_err(),
        form,
        "two OPT records"
    );
}

#[test]
fn a_name_has_at_most_255_bytes() {
    let labels = |last: usize| {
        let mut name = vec!["a".repeat(63); 3];
        name.push("b".repeat(last));
        name.join(".")
    };
    let longest = query(&labels(61), 1, None);
    assert_eq!(parse(&longest).unwrap().name.key().unwrap().len(), 253);
    assert!(parse(&query(&labels(62), 1, None)).is_err());
}

#[test]
fn an_answer_has_the_question_and_its_records() {
    let packet = query("Web", 1, None);
    let query = parse(&packet).unwrap();
    let mut out = vec![7; 9];
    let mut answer = Answer::begin(&mut out, &query, 512, true).authoritative();
    assert!(answer.address("10.0.0.2".parse().unwrap()));
    answer.finish(Code::NoError);
    let expected = [
        &[0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..],
        b"\x03Web\x00\x00\x01\x00\x01",
        &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 2],
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn what_does_not_fit_is_left_out_and_said_to_be() {
    let packet = query("web", 28, Some(600));
    let query = parse(&packet).unwrap();
    let mut out = Vec::new();
    let mut answer = Answer::begin(&mut out, &query, query.datagram_limit(), false);
    let mut count = 0u16;
    while answer.address(IpAddr::from([u8::try_from(count).unwrap(); 16])) {
        count += 1;
    }
    answer.finish(Code::NoError);
    // A head of 21 bytes, records of 28, and 11 for OPT.
    assert_eq!((count, out.len()), (20, 21 + 20 * 28 + 11));
    assert_eq!(number(&out, 2), Some(0x8300));
    assert_eq!(number(&out, 6), Some(20));
    assert_eq!(
        out[out.len() - 11..],
        [0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0]
    );
}

#[test]
fn a_code_of_twelve_bits_goes_into_two_places() {
    let packet = query("web", 1, Some(512));
    let mut out = Vec::new();
    Answer::begin(&mut out, &parse(&packet).unwrap(), 512, true).finish(Code::BadVers);
    assert_eq!((number(&out, 2), out[out.len() - 6]), (Some(0x8180), 1));
}

#[test]
fn a_pointer_is_a_name_or_nothing() {
    let packet = query("2.0.0.10.in-addr.arpa", 12, None);
    let query = parse(&packet).unwrap();
    let mut out = Vec::new();
    let mut answer = Answer::begin(&mut out, &query, 512, true);
    for wrong in ["", ".", "a..b", "a.", &"x".repeat(64), &"a.".repeat(127)] {
        assert!(!answer.pointer(wrong), "{wrong}");
    }
    assert!(answer.pointer("web.front"));
    answer.finish(Code::NoError);
    assert_eq!(out[out.len() - 13..], *b"\x00\x0b\x03web\x05front\x00");
    assert_eq!(number(&out, 2), Some(0x8180), "nothing was cut off");
}

#[test]
fn addresses_are_found_in_their_names() {
    let zeros = "0.".repeat(16);
    let v6 = format!("2.0.0.0.{zeros}1.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa");
    let long = format!("0.{v6}");
    for (name, address) in [
        ("2.0.0.10.in-addr.arpa", Some("10.0.0.2")),
        ("0.0.10.in-addr.arpa", None),
        ("1.2.0.0.10.in-addr.arpa", None),
        ("256.0.0.10.in-addr.arpa", None),
        ("+2.0.0.10.in-addr.arpa", None),
        ("in-addr.arpa", None),
        ("2.0.0.10", None),
        (&v6, Some("fd00:0:1::2")),
        (&long, None),
        (v6.trim_start_matches("2."), None),
        ("x.ip6.arpa", None),
    ] {
        let expected = address.map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(address_of(name.as_bytes()), expected, "{name}");
    }
}

/// An answer to a query, as another server gives it.
fn reply(query: &[u8], flags: u16, id: u16) -> Vec<u8> {
    let mut packet = query.to_vec();
    set_id(&mut packet, id);
    packet[2..4].copy_from_slice(&flags.to_be_bytes());
    packet
}

#[test]
fn answers_are_told_from_what_is_none() {
    let query = query("web.example", 1, None);
    let question = &query[12..];
    let judged = |packet: &[u8]| judge(packet, 7, question);
    assert_eq!(judged(&reply(&query, 0x8180, 7)), Heard::Answer);
    assert_eq!(
        judged(&reply(&query, 0x8183, 7)),
        Heard::Answer,
        "no such name"
    );
    assert_eq!(judged(&reply(&query, 0x8182, 7)), Heard::Failed);
    assert_eq!(judged(&reply(&query, 0x8185, 7)), Heard::Failed);
    assert_eq!(
        judged(&reply(&query, 0x8380, 7)),
        Heard::Truncated { empty: true }
    );
    assert_eq!(
        judged(&reply(&query, 0x8180, 8)),
        Heard::Foreign,
        "another number"
    );
    assert_eq!(judged(&reply(&query, 0x0100, 7)), Heard::Foreign, "a query");
    assert_eq!(
        judged(&reply(&query, 0xa180, 7)),
        Heard::Foreign,
        "another operation"
    );
    let mut other = reply(&query, 0x8180, 7);
    other[13] = b'x';
    assert_eq!(judged(&other), Heard::Foreign, "another name");
    let mut other = reply(&query, 0x8180, 7);
    other[13] = b'W';
    assert_eq!(judged(&other), Heard::Answer, "case does not matter");
    let mut other = reply(&query, 0x8180, 7);
    let kind = other.len() - 3;
    other[kind] = 28;
    assert_eq!(judged(&other), Heard::Foreign, "another type");
    assert_eq!(
        judged(&[0, 7, 0x81, 0x84, 0, 0, 0, 0, 0, 0, 0, 0]),
        Heard::Failed
    );
    assert_eq!(
        judged(&[0, 7, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0]),
        Heard::Foreign
    );
    assert_eq!(judged(&[0, 7, 0x81, 0x84]), Heard::Foreign);
}

proptest! {
    /// Whatever comes, reading it ends without a panic, and so does everything that is done with
    /// what was read.
    #[test]
    fn any_bytes_can_come(packet in prop::collection::vec(any::<u8>(), 0..600), limit in 0usize..700) {
        use_all(&packet, limit);
    }

    /// The same for what is nearly a query, which gets further.
    #[test]
    fn a_query_can_be_damaged_anywhere(
        name in "[a-zA-Z0-9.-]{0,40}",
        size in prop::option::of(any::<u16>()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        limit in 0usize..700,
    ) {
        let mut packet = query(&name, 1, size);
        for (at, byte) in damage {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        use_all(&packet, limit);
    }

    /// A text is the same name again after it was written.
    #[test]
    fn names_survive(labels in prop::collection::vec("[a-z0-9_-]{1,63}", 1..5)) {
        let text = labels.join(".");
        let mut out = Vec::new();
        match Name::write(&mut out, &text) {
            Some(()) => {
                let (name, end) = Name::read(&out, 0).unwrap();
                prop_assert_eq!(name.key(), Some(text.as_bytes()));
                prop_assert_eq!((end, Name::skip(&out, 0)), (out.len(), Some(end)));
            }
            None => prop_assert!(text.len() > 253 && out.is_empty()),
        }
    }
}

/// Does with a packet what the server does, and checks what the answer must be like.
fn use_all(packet: &[u8], limit: usize) {
    let mut out = Vec::new();
    match parse(packet) {
        Err(Malformed::Noise) => {}
        Err(Malformed::Code(code)) => {
            bare(&mut out, packet, code);
            assert_eq!((out.len(), &out[..2]), (12, &packet[..2]));
        }
        Ok(query) => {
            address_of(query.name.key().unwrap_or_default());
            let mut answer = Answer::begin(&mut out, &query, limit, true);
            answer.pointer("web.front");
            while answer.address(IpAddr::from([1; 16])) {}
            answer.finish(Code::NoError);
            let least = query.head.len() + 11;
            assert!(out.len() <= limit.max(least), "{} of {limit}", out.len());
            let id = number(packet, 0).unwrap();
            assert_ne!(judge(&out, id, &query.head[12..]), Heard::Foreign);
            truncate(&mut out, &query, limit);
        }
    }
    judge(packet, 7, packet.get(12..).unwrap_or_default());
    for at in 0..packet.len() {
        Name::skip(packet, at);
        Name::read(packet, at);
    }
}
