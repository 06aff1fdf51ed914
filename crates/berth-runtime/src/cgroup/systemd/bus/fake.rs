//! The other end of a connection, played by a thread of the test.

use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use rustbus::params::{Base, Container, Param};

use super::*;

/// A bus that answers by a function.
pub(in crate::cgroup::systemd) struct FakeBus {
    folder: tempfile::TempDir,
    thread: JoinHandle<Vec<String>>,
}

/// What the thread says to a call: messages in order, replies and signals.
pub(in crate::cgroup::systemd) type Answer = fn(&MarshalledMessage) -> Vec<MarshalledMessage>;

impl FakeBus {
    /// Serves one connection until it is closed.
    pub(in crate::cgroup::systemd) fn new(answer: Answer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("bus")).unwrap();
        let thread = std::thread::spawn(move || serve(&listener, answer));
        Self { folder, thread }
    }

    pub(in crate::cgroup::systemd) fn address(&self, kind: Kind) -> Address {
        Address {
            path: self.folder.path().join("bus"),
            kind,
        }
    }

    /// The calls that came, each with its parameters; after the connection was closed.
    pub(in crate::cgroup::systemd) fn calls(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn serve(listener: &UnixListener, answer: Answer) -> Vec<String> {
    let (stream, _) = listener.accept().unwrap();
    let mut connection = Connection::over(stream, Duration::from_secs(10));
    assert_eq!(connection.read_line().unwrap(), "\0AUTH EXTERNAL");
    assert_eq!(connection.read_line().unwrap(), "DATA");
    connection.write(b"DATA\r\nOK 0123\r\n").unwrap();
    assert_eq!(connection.read_line().unwrap(), "BEGIN");
    let mut calls = Vec::new();
    loop {
        let call = match connection.receive() {
            Ok(call) => call,
            Err(BusError::Broken(_)) => return calls,
            Err(error) => panic!("{error}"),
        };
        for message in answer(&call) {
            send(&mut connection, &message);
        }
        let header = &call.dynheader;
        let member = header.member.clone().unwrap_or_default();
        let signature = call.get_sig().to_owned();
        let parameters = call.unmarshall_all().unwrap().params;
        calls.push(format!("{member} {signature} {}", shown(&parameters)));
    }
}

/// Parameters in short: structs in parentheses, lists in brackets, variants with their type.
fn shown(parameters: &[Param<'_, '_>]) -> String {
    let texts: Vec<String> = parameters.iter().map(show).collect();
    texts.join(", ")
}

fn show(parameter: &Param<'_, '_>) -> String {
    match parameter {
        Param::Base(Base::String(text)) => text.clone(),
        Param::Base(Base::Boolean(value)) => value.to_string(),
        Param::Base(Base::Byte(value)) => value.to_string(),
        Param::Base(Base::Uint32(value)) => value.to_string(),
        Param::Base(Base::Uint64(value)) => value.to_string(),
        Param::Container(Container::Struct(fields)) => format!("({})", shown(fields)),
        Param::Container(Container::Array(list)) => format!("[{}]", shown(&list.values)),
        Param::Container(Container::Variant(variant)) => {
            let mut kind = String::new();
            variant.sig.to_str(&mut kind);
            format!("{kind} {}", show(&variant.value))
        }
        other => format!("{other:?}"),
    }
}

/// rustbus does not write the name of an error: it travels as the interface, in the place of which
/// it is then put.
fn send(connection: &mut Connection, message: &MarshalledMessage) {
    let mut bytes = Vec::new();
    marshal(message, 1, &mut bytes).unwrap();
    if message.typ == MessageType::Error {
        const INTERFACE: u8 = 2;
        const ERROR_NAME: u8 = 4;
        // After the fixed header and the reply's serial number.
        let code = &mut bytes[FIXED + 8];
        assert_eq!(*code, INTERFACE);
        *code = ERROR_NAME;
    }
    bytes.extend_from_slice(message.get_buf());
    connection.write(&bytes).unwrap();
}

/// An error reply to a call.
pub(in crate::cgroup::systemd) fn refuse(
    call: &MarshalledMessage,
    name: &str,
    text: &str,
) -> MarshalledMessage {
    let mut reply = call.dynheader.make_response();
    reply.typ = MessageType::Error;
    reply.dynheader.interface = Some(name.to_owned());
    reply.body.push_param(text).unwrap();
    reply
}
