use rustbus::MessageBuilder;

use super::super::bus::fake::{FakeBus, refuse};
use super::super::property::Value;
use super::*;

fn path(text: &str) -> ObjectPath<&str> {
    ObjectPath::new(text).unwrap()
}

fn removed(job: &str, result: &str) -> MarshalledMessage {
    let mut signal = MessageBuilder::new()
        .signal(MANAGER, "JobRemoved", MANAGER_PATH)
        .build();
    let body = &mut signal.body;
    body.push_param4(7u32, path(job), "x.scope", result)
        .unwrap();
    signal
}

fn with_job(call: &MarshalledMessage, job: &str) -> MarshalledMessage {
    let mut reply = call.dynheader.make_response();
    reply.body.push_param(path(job)).unwrap();
    reply
}

/// A systemd for which everything works.
fn willing(call: &MarshalledMessage) -> Vec<MarshalledMessage> {
    match call.dynheader.member.as_deref().unwrap() {
        // Another's job comes between, and our signal even before the reply.
        "StartTransientUnit" => vec![
            removed("/job/6", "failed"),
            removed("/job/7", "done"),
            with_job(call, "/job/7"),
        ],
        "StopUnit" => vec![with_job(call, "/job/8"), removed("/job/8", "done")],
        "Get" => {
            let mut reply = call.dynheader.make_response();
            reply.body.push_variant("/a.slice/x.scope").unwrap();
            vec![reply]
        }
        "NameHasOwner" => vec![owned(call, true)],
        _ => vec![call.dynheader.make_response()],
    }
}

fn owned(call: &MarshalledMessage, is_owned: bool) -> MarshalledMessage {
    let mut reply = call.dynheader.make_response();
    reply.body.push_param(is_owned).unwrap();
    reply
}

#[test]
fn a_scope_is_started_found_changed_and_stopped() {
    let bus = FakeBus::new(willing);
    let mut manager = Manager::connect(&[bus.address(Kind::Daemon)]).unwrap();
    let properties = [
        Property::new("Slice", Value::Text("a.slice".to_owned())),
        Property::new("PIDs", Value::Pids(vec![42])),
        Property::new("AllowedCPUs", Value::Bytes(vec![3])),
        Property::new("Delegate", Value::Bool(true)),
        Property::new("TasksMax", Value::U64(9)),
        Property::new(
            "DeviceAllow",
            Value::Pairs(vec![("char-*".to_owned(), "m".to_owned())]),
        ),
    ];
    manager.start("x.scope", &properties).unwrap();
    assert_eq!(
        manager.control_group("x.scope").unwrap(),
        "/a.slice/x.scope"
    );
    manager.set("x.scope", &properties[4..5]).unwrap();
    manager.stop("x.scope").unwrap();
    drop(manager);
    let calls = bus.calls();
    let members: Vec<&str> = calls
        .iter()
        .map(|call| call.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        members,
        [
            "Hello",
            "NameHasOwner",
            "AddMatch",
            "Subscribe",
            "StartTransientUnit",
            "Get",
            "SetUnitProperties",
            "AddMatch",
            "Subscribe",
            "StopUnit",
            "ResetFailedUnit"
        ]
    );
    assert_eq!(
        calls[4],
        "StartTransientUnit ssa(sv)a(sa(sv)) x.scope, replace, [(Slice, s a.slice), \
         (PIDs, au [42]), (AllowedCPUs, ay [3]), (Delegate, b true), (TasksMax, t 9), \
         (DeviceAllow, a(ss) [(char-*, m)])], []"
    );
    assert_eq!(
        calls[6],
        "SetUnitProperties sba(sv) x.scope, true, [(TasksMax, t 9)]"
    );
}

#[test]
fn refusals_and_failed_jobs_are_told() {
    let bus = FakeBus::new(|call| match call.dynheader.member.as_deref().unwrap() {
        "StartTransientUnit" => vec![with_job(call, "/job/1"), removed("/job/1", "failed")],
        "StopUnit" => vec![refuse(call, NO_SUCH_UNIT, "not loaded")],
        "ResetFailedUnit" => vec![refuse(call, NO_SUCH_UNIT, "not loaded")],
        _ => vec![refuse(call, "org.example.No", "not for you")],
    });
    // systemd itself knows neither Hello nor AddMatch.
    let mut manager = Manager::connect(&[bus.address(Kind::Direct)]).unwrap();
    let failed = manager.start("x.scope", &[]).unwrap_err();
    assert!(matches!(&failed, BusError::Job(how) if how == "failed"));
    manager.stop("x.scope").unwrap();
    let refused = manager.set("x.scope", &[]).unwrap_err().to_string();
    assert_eq!(refused, "not for you (org.example.No)");
    drop(manager);
    assert_eq!(bus.calls().len(), 8);
}

#[test]
fn a_name_that_failed_before_is_forgotten_and_a_living_one_refused() {
    let bus = FakeBus::new(|call| match call.dynheader.member.as_deref().unwrap() {
        "StartTransientUnit" => vec![refuse(call, UNIT_EXISTS, "unit x.scope already exists")],
        "NameHasOwner" => vec![owned(call, true)],
        _ => vec![call.dynheader.make_response()],
    });
    let mut manager = Manager::connect(&[bus.address(Kind::Daemon)]).unwrap();
    let refused = manager.start("x.scope", &[]).unwrap_err();
    assert!(refused.is(UNIT_EXISTS), "{refused}");
    drop(manager);
    let calls = bus.calls();
    let starts = calls.iter().filter(|call| call.starts_with("Start"));
    assert_eq!(starts.count(), 2);
}

#[test]
fn a_bus_without_systemd_is_passed_over() {
    let without = FakeBus::new(|call| match call.dynheader.member.as_deref().unwrap() {
        "NameHasOwner" => vec![owned(call, false)],
        _ => vec![call.dynheader.make_response()],
    });
    let with = FakeBus::new(willing);
    let addresses = [without.address(Kind::Daemon), with.address(Kind::Direct)];
    let mut manager = Manager::connect(&addresses).unwrap();
    manager.stop("x.scope").unwrap();
    drop(manager);
    assert_eq!(without.calls().len(), 2);
    assert_eq!(with.calls().len(), 4);
}

#[test]
fn a_bus_that_closes_or_is_not_there_is_an_error_and_no_hang() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address {
        path: folder.path().join("bus"),
        kind: Kind::Daemon,
    };
    let refused = Manager::connect(std::slice::from_ref(&address))
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("cannot connect to"),
        "{refused}"
    );
    let listener = std::os::unix::net::UnixListener::bind(&address.path).unwrap();
    let closing = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let refused = Manager::connect(std::slice::from_ref(&address))
        .err()
        .unwrap();
    assert!(refused.to_string().contains("broke"), "{refused}");
    closing.join().unwrap();
    let refused = Manager::connect(&[]).err().unwrap();
    assert!(refused.to_string().contains("XDG_RUNTIME_DIR"), "{refused}");
}

#[test]
fn a_bus_that_is_silent_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address {
        path: folder.path().join("bus"),
        kind: Kind::Daemon,
    };
    // Bound and connected to, but nobody answers.
    let _listener = std::os::unix::net::UnixListener::bind(&address.path).unwrap();
    let began = std::time::Instant::now();
    let refused = Connection::open(&address, Duration::from_millis(50))
        .err()
        .unwrap();
    assert!(matches!(refused, BusError::TimedOut(_)), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn units_are_objects() {
    assert_eq!(escape_path("a-1.scope"), "a_2d1_2escope");
    assert_eq!(escape_path("1a"), "_31a");
}

#[test]
fn addresses_come_from_the_environment_or_are_the_usual_ones() {
    let none = |_: &str| None;
    let system = addresses(Bus::System, &none);
    assert_eq!(system[0].path, Path::new("/run/dbus/system_bus_socket"));
    assert_eq!(system[1].kind, Kind::Direct);
    assert_eq!(addresses(Bus::User, &none), []);
    let user = |name: &str| match name {
        "XDG_RUNTIME_DIR" => Some(OsString::from("/run/user/7")),
        "DBUS_SESSION_BUS_ADDRESS" => Some("unix:guid=1,path=/x/bus".into()),
        _ => None,
    };
    let paths: Vec<_> = addresses(Bus::User, &user)
        .into_iter()
        .map(|address| address.path.display().to_string())
        .collect();
    assert_eq!(
        paths,
        ["/x/bus", "/run/user/7/bus", "/run/user/7/systemd/private"]
    );
}
