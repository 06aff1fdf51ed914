//! What Berth allows itself, as multiples of others.

use super::contestants::{Net, Oci, SIZES, Work};

/// `ours` at `work` takes at most `limit` times what `theirs` takes at `theirs_at`.
pub(super) struct Budget {
    pub(super) ours: &'static str,
    pub(super) work: Work,
    pub(super) theirs: &'static str,
    pub(super) theirs_at: Work,
    pub(super) limit: f64,
}

const fn budget(
    ours: &'static str,
    work: Work,
    limit: f64,
    theirs: &'static str,
    theirs_at: Work,
) -> Budget {
    Budget {
        ours,
        work,
        theirs,
        theirs_at,
        limit,
    }
}

/// A bare start of an OCI bundle, `true` in it.
const BUNDLE: Work = Work::Oci(Oci::Run, 1);

/// The budgets for starting and ending.
pub(super) const START: [Budget; 7] = [
    budget("berth-runtime", BUNDLE, 0.5, "crun", BUNDLE),
    budget("berth-runtime", BUNDLE, 0.2, "runc", BUNDLE),
    budget("berth-runtime", BUNDLE, 1.4, "floor", BUNDLE),
    budget("berth", Work::Run, 0.05, "docker", Work::Run),
    budget("berth", Work::Run, 1.0, "crun", BUNDLE),
    budget("berth", Work::Crowd, 1.3, "floor", Work::Crowd),
    budget("berth", Work::Exec, 0.08, "docker", Work::Exec),
];

/// Those of the OCI runtime, the same however many run at once.
pub(super) fn oci() -> Vec<Budget> {
    let each = |copies| {
        let run = Work::Oci(Oci::Run, copies);
        [(0.5, "crun"), (0.2, "runc"), (1.4, "floor")]
            .map(|(limit, theirs)| budget("berth-runtime", run, limit, theirs, run))
    };
    SIZES.into_iter().flat_map(each).collect()
}

/// How many containers with an address of their own start at once.
pub(super) const NET_CROWD: usize = 32;

/// Those of networks: an address costs at most a tenth of what it costs with either peer. What it
/// costs beside none at all is there to be read.
pub(super) fn net() -> Vec<Budget> {
    let works = [
        Work::Net(Net::Bridge, 1),
        Work::Net(Net::Publish, 1),
        Work::Net(Net::Bridge, NET_CROWD),
    ];
    let both = |work| ["docker", "podman"].map(|theirs| budget(OURS, work, 0.1, theirs, work));
    let none = Work::Net(Net::None, 1);
    let own = works[..2]
        .iter()
        .map(|work| budget(OURS, *work, f64::INFINITY, OURS, none));
    works.into_iter().flat_map(both).chain(own).collect()
}

/// Those of every day: a start costs at most a twentieth of docker's, and a crowd of them too.
pub(super) fn engine(crowd: usize) -> Vec<Budget> {
    let works = [
        (Work::Net(Net::None, 1), 0.05),
        (Work::Net(Net::Bridge, 1), 0.05),
        (Work::Net(Net::None, crowd), f64::INFINITY),
        (Work::Exec, 0.08),
        (Work::StartStop, f64::INFINITY),
    ];
    let both =
        |(work, limit)| ["docker", "podman"].map(|theirs| budget(OURS, work, limit, theirs, work));
    works.into_iter().flat_map(both).collect()
}

/// Our engine, as contestants call it.
const OURS: &str = "berth";
