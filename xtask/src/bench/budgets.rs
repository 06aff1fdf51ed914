//! What Berth allows itself, as multiples of others.

use super::contestants::Work;

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

/// The budgets for starting and ending.
pub(super) const START: [Budget; 7] = [
    budget("berth-runtime", Work::Bundle, 0.5, "crun", Work::Bundle),
    budget("berth-runtime", Work::Bundle, 0.2, "runc", Work::Bundle),
    budget("berth-runtime", Work::Bundle, 1.4, "floor", Work::Bundle),
    budget("berth", Work::Run, 0.05, "docker", Work::Run),
    budget("berth", Work::Run, 1.0, "crun", Work::Bundle),
    budget("berth", Work::Crowd, 1.3, "floor", Work::Crowd),
    budget("berth", Work::Exec, 0.08, "docker", Work::Exec),
];
