//! Messages, as the other side of a test writes and reads them: by hand, apart from the crate's
//! own code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const A: u16 = 1;
pub(crate) const MX: u16 = 15;
pub(crate) const PTR: u16 = 12;
pub(crate) const AAAA: u16 = 28;
pub(crate) const ANY: u16 = 255;

pub(crate) const NOERROR: u16 = 0;
pub(crate) const FORMERR: u16 = 1;
pub(crate) const SERVFAIL: u16 = 2;
pub(crate) const NXDOMAIN: u16 = 3;
pub(crate) const NOTIMP: u16 = 4;
pub(crate) const REFUSED: u16 = 5;

/// A query with recursion desired.
pub(crate) fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    packet.extend(labels(name));
    packet.extend(kind.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// The same with EDNS: the longest answer that is taken.
pub(crate) fn query_with_size(id: u16, name: &str, kind: u16, size: u16) -> Vec<u8> {
    let mut packet = query(id, name, kind);
    packet[11] = 1;
    packet.extend([0, 0, 41]);
    packet.extend(size.to_be_bytes());
    packet.extend([0; 6]);
    packet
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// An upstream server's answer to a query: with these records of the question's type.
pub(crate) fn reply(query: &[u8], code: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let end = question_end(query);
    let mut packet = query[..end].to_vec();
    packet[2..4].copy_from_slice(&(0x8180 | code).to_be_bytes());
    packet[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    packet[8..12].fill(0);
    for data in records {
        packet.extend([0xc0, 12]);
        packet.extend(&query[end - 4..end]);
        packet.extend(300u32.to_be_bytes());
        packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        packet.extend(data);
    }
    packet
}

/// Sets TC.
pub(crate) fn truncated(mut packet: Vec<u8>) -> Vec<u8> {
    packet[2] |= 2;
    packet
}

fn question_end(packet: &[u8]) -> usize {
    let mut at = 12;
    while packet[at] != 0 {
        at += 1 + usize::from(packet[at]);
    }
    at + 5
}

/// The name of a query's question.
pub(crate) fn name_of(query: &[u8]) -> String {
    read_name(query, 12).0
}

/// What an answer says.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: u16,
    pub(crate) code: u16,
    pub(crate) truncated: bool,
    pub(crate) authoritative: bool,
    pub(crate) recursion: bool,
    /// Records of the answer section, as text.
    pub(crate) records: Vec<String>,
    /// The size of the answer's OPT record.
    pub(crate) edns: Option<u16>,
    pub(crate) length: usize,
}

/// Reads an answer, all of it.
pub(crate) fn answer(packet: &[u8]) -> Answer {
    let short = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let flags = short(2);
    assert_ne!(flags & 0x8000, 0, "an answer");
    let mut at = 12;
    for _ in 0..short(4) {
        at = read_name(packet, at).1 + 4;
    }
    let mut records = Vec::new();
    let mut edns = None;
    for number in 0..short(6) + short(8) + short(10) {
        at = read_name(packet, at).1;
        let (kind, size, length) = (short(at), short(at + 2), usize::from(short(at + 8)));
        let data = &packet[at + 10..at + 10 + length];
        match kind {
            41 => edns = Some(size),
            _ if number >= short(6) => {}
            A => records
                .push(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap())).to_string()),
            AAAA => records
                .push(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(data).unwrap())).to_string()),
            PTR => records.push(read_name(packet, at + 10).0),
            _ => records.push(String::from_utf8_lossy(data).into_owned()),
        }
        at += 10 + length;
    }
    assert_eq!(at, packet.len(), "nothing behind the end");
    Answer {
        id: short(0),
        code: flags & 15,
        truncated: flags & 0x200 != 0,
        authoritative: flags & 0x400 != 0,
        recursion: flags & 0x80 != 0,
        records,
        edns,
        length: packet.len(),
    }
}

fn read_name(packet: &[u8], start: usize) -> (String, usize) {
    let mut labels = Vec::new();
    let (mut at, mut end) = (start, None);
    loop {
        let length = usize::from(packet[at]);
        match length {
            0 => return (labels.join("."), end.unwrap_or(at + 1)),
            192.. => {
                end.get_or_insert(at + 2);
                at = (length & 63) << 8 | usize::from(packet[at + 1]);
            }
            _ => {
                let label = &packet[at + 1..=at + length];
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + length;
            }
        }
    }
}
