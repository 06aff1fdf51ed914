use berth_engine::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let dir = std::path::PathBuf::from(&a[1]);
    let own = std::env::current_exe().unwrap();
    let rt = own.ancestors().nth(2).unwrap().join("berth-runtime");
    let e = Engine::open(EngineConfig {
        root: dir.join("root"),
        state: dir.join("state"),
        runtime_binary: rt,
        engine_binary: own.clone(),
        cgroup_parent: None,
    })
    .unwrap();
    let mut o = CreateOptions {
        command: a[3..].to_vec(),
        ..Default::default()
    };
    for f in a[2].split(',') {
        match f {
            "hostpid" => o.namespaces.pid = NamespaceMode::Host,
            "hostnet" => o.namespaces.net = NamespaceMode::Host,
            "hostipc" => o.namespaces.ipc = NamespaceMode::Host,
            "userns" => o.namespaces.user = NamespaceMode::Private,
            "init" => o.init = true,
            "ro" => o.read_only = true,
            "mem" => o.memory_bytes = Some(64 << 20),
            "priv" => o.privileged = true,
            _ => {}
        }
    }
    let c = match e.create(&o) {
        Ok(c) => c,
        Err(x) => {
            eprintln!("create: {x}");
            return;
        }
    };
    eprintln!("warnings {:?}", c.warnings);
    match e.start(
        &c.id,
        &StartAttach {
            output: true,
            ..Default::default()
        },
    ) {
        Err(x) => eprintln!("start: {x} {:?}", x.exit_code),
        Ok(s) => {
            eprintln!("warnings {:?}", s.warnings);
            let mut b = vec![0; 40000];
            loop {
                match s.session.receive(&mut b).unwrap() {
                    Packet::Exited(o) => {
                        eprintln!("{o:?}");
                        break;
                    }
                    Packet::Stdout(x) | Packet::Stderr(x) => {
                        print!("{}", String::from_utf8_lossy(x))
                    }
                    p => eprintln!("{p:?}"),
                }
            }
        }
    }
    if let Err(x) = e.remove(
        &c.id,
        &RemoveOptions {
            force: true,
            volumes: false,
        },
    ) {
        eprintln!("remove: {x}")
    }
}
