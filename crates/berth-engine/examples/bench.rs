use berth_engine::*;
use std::time::Instant;
fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let own = std::env::current_exe().unwrap();
    let rt = own.ancestors().nth(2).unwrap().join("berth-runtime");
    let e = Engine::open(EngineConfig {
        root: dir.join("root"),
        state: dir.join("state"),
        runtime_binary: rt,
        engine_binary: own.clone(),
        cgroup_parent: Some("berth-bench".into()),
    })
    .unwrap();
    let n = 60;
    let mut t = vec![vec![0f64; n]; 5];
    for i in 0..n {
        let o = CreateOptions {
            command: vec!["/bin/true".into()],
            auto_remove: std::env::args().nth(2).is_none(),
            ..Default::default()
        };
        let t0 = Instant::now();
        let c = e.create(&o).unwrap();
        let t1 = Instant::now();
        let s = e
            .start(
                &c.id,
                &StartAttach {
                    output: true,
                    client_handles_exit: true,
                    ..Default::default()
                },
            )
            .unwrap();
        let t2 = Instant::now();
        let mut b = vec![0; 40000];
        loop {
            if let Packet::Exited(_) = s.session.receive(&mut b).unwrap() {
                break;
            }
        }
        let t3 = Instant::now();
        e.remove(&c.id, &RemoveOptions::default()).unwrap();
        let t4 = Instant::now();
        for (k, d) in [t1 - t0, t2 - t1, t3 - t2, t4 - t3, t4 - t0]
            .iter()
            .enumerate()
        {
            t[k][i] = d.as_secs_f64() * 1000.;
        }
    }
    for (k, name) in ["create", "start", "exit", "remove", "all"]
        .iter()
        .enumerate()
    {
        t[k].sort_by(|a, b| a.total_cmp(b));
        println!("{name:8} median {:.2} ms  min {:.2}", t[k][n / 2], t[k][0]);
    }
}
