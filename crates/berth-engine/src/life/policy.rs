//! When a container is started again, and after which pause. Pure.

use std::time::Duration;

use berth_base::Timestamp;
use berth_base::state::{ExitOutcome, RestartPolicy, RestartRecord};

/// The first pause, and the longest; Docker's.
const FIRST_MS: u32 = 100;
const LONGEST_MS: u32 = 60_000;
/// A run of this length makes the next pause the first again.
const LONG_RUN: Duration = Duration::from_secs(10);

/// Whether a container that has just ended is to be started again. `boot` is the host's present one.
pub(super) fn wants_again(
    policy: RestartPolicy,
    record: &RestartRecord,
    outcome: ExitOutcome,
    boot: &str,
) -> bool {
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always => record.stopped_in.as_deref() != Some(boot),
        RestartPolicy::UnlessStopped => record.stopped_in.is_none(),
        RestartPolicy::OnFailure(limit) => {
            let has_failed = outcome != ExitOutcome::Code(0);
            has_failed && record.stopped_in.is_none() && (limit == 0 || record.count < limit)
        }
    }
}

/// Whether a container that ran in an earlier boot is to run in this one. As with Docker,
/// `on-failure` is about a program's end and not about the host's.
pub(super) fn wants_at_boot(policy: RestartPolicy, record: &RestartRecord, boot: &str) -> bool {
    match policy {
        RestartPolicy::No | RestartPolicy::OnFailure(_) => false,
        RestartPolicy::Always => record.stopped_in.as_deref() != Some(boot),
        RestartPolicy::UnlessStopped => record.stopped_in.is_none(),
    }
}

/// The pause before the next start, of a container whose run took so long.
pub(super) fn next_pause_ms(last_ms: u32, ran: Duration) -> u32 {
    match last_ms {
        _ if ran >= LONG_RUN => FIRST_MS,
        0 => FIRST_MS,
        last => last.saturating_mul(2).min(LONGEST_MS),
    }
}

/// How long it is until `due`. Both are times of the wall clock, which somebody may have set back
/// meanwhile: no pause is longer than the longest.
pub(super) fn pause_until(due: Timestamp, now: Timestamp) -> Duration {
    due.since(now)
        .min(Duration::from_millis(u64::from(LONGEST_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_base::state::RestartPolicy::{Always, No, OnFailure, UnlessStopped};

    fn stopped_in(boot: Option<&str>) -> RestartRecord {
        RestartRecord {
            stopped_in: boot.map(str::to_owned),
            ..RestartRecord::default()
        }
    }

    #[test]
    fn what_ended_by_itself_is_started_as_its_policy_says() {
        let record = RestartRecord::default();
        let again = |policy, outcome| wants_again(policy, &record, outcome, "now");
        for outcome in [
            ExitOutcome::Code(0),
            ExitOutcome::Code(3),
            ExitOutcome::Unknown,
        ] {
            assert!(!again(No, outcome));
            assert!(again(Always, outcome));
            assert!(again(UnlessStopped, outcome));
        }
        assert!(!again(OnFailure(0), ExitOutcome::Code(0)));
        assert!(again(OnFailure(0), ExitOutcome::Signal(9)));
        assert!(again(OnFailure(0), ExitOutcome::Unknown));
    }

    #[test]
    fn on_failure_counts() {
        let with = |count| RestartRecord {
            count,
            ..RestartRecord::default()
        };
        let failed = ExitOutcome::Code(1);
        assert!(wants_again(OnFailure(2), &with(1), failed, "now"));
        assert!(!wants_again(OnFailure(2), &with(2), failed, "now"));
        assert!(wants_again(OnFailure(0), &with(1000), failed, "now"));
    }

    #[test]
    fn a_stop_by_hand_holds_for_the_boot_or_for_good() {
        let failed = ExitOutcome::Code(1);
        for policy in [Always, UnlessStopped, OnFailure(0)] {
            assert!(!wants_again(
                policy,
                &stopped_in(Some("now")),
                failed,
                "now"
            ));
        }
        for (policy, stopped, wanted) in [
            (Always, None, true),
            (Always, Some("before"), true),
            (Always, Some("now"), false),
            (UnlessStopped, None, true),
            (UnlessStopped, Some("before"), false),
            (OnFailure(0), None, false),
            (No, None, false),
        ] {
            let got = wants_at_boot(policy, &stopped_in(stopped), "now");
            assert_eq!(got, wanted, "{policy} stopped in {stopped:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_long_run() {
        let short = Duration::from_secs(1);
        let mut pauses = vec![0];
        for _ in 0..12 {
            pauses.push(next_pause_ms(*pauses.last().unwrap(), short));
        }
        assert_eq!(
            pauses[1..],
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000
            ]
        );
        assert_eq!(next_pause_ms(51200, Duration::from_secs(10)), 100);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_pause_longer_than_the_longest() {
        let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(pause_until(at(1001), at(1000)), second);
        assert_eq!(pause_until(at(1000), at(1001)), Duration::ZERO);
        assert_eq!(pause_until(at(1000), at(10)), 60 * second);
    }
}
