//! What init and the stage say of a failure, in words that name the field of the configuration.

use berth_base::ErrorClass;
use berth_base::protocol::Failure;
use oci_spec::runtime::Spec;
use rustix::io::Errno;

use super::{fail, hooks};
use crate::plan::{Plan, Step};
use crate::{failure, namespaces, wire};

/// Puts what init said into words.
pub(crate) fn explain(spec: &Spec, plan: &Plan, kind: u8, payload: &[u8]) -> Failure {
    if kind == wire::HOOK_FAILED
        && let Some(failure) = hook_failure(spec, payload)
    {
        return failure;
    }
    let name = plan.program.argv.first().map(|p| p.to_string_lossy());
    let name = name.as_deref().unwrap_or("nothing");
    let index = payload
        .first_chunk()
        .and_then(|bytes| usize::try_from(u32::from_le_bytes(*bytes)).ok());
    let step = index.and_then(|index| plan.init.get(index));
    if let (wire::STEP_FAILED, Some(Step::FindProgram)) = (kind, step) {
        return not_executable(name, payload);
    }
    if kind == wire::EXEC_FAILED {
        return not_executable(name, payload);
    }
    let mut failure = wire::explain(kind, payload, &plan.init, &plan.program);
    let index = index.filter(|_| kind == wire::STEP_FAILED);
    if let Some(field) = index.and_then(|index| plan.field_of(index)) {
        failure.message = format!("{field}: {}", failure.message);
    }
    failure.exit_code = 1;
    failure
}

/// Names the field by which a namespace that cannot be joined was asked for.
pub(crate) fn name_namespace(spec: &Spec, mut failure: Failure) -> Failure {
    let listed = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    let asked = listed.into_iter().flatten().position(|namespace| {
        let path = namespace.path().as_ref().map(|path| path.to_string_lossy());
        let kind = namespaces::kind_of(namespace.typ()).as_str();
        path.is_some_and(|path| {
            let words = format!("cannot join the {kind} namespace at {path}: ");
            failure.message.starts_with(&words)
        })
    });
    if let Some(index) = asked {
        failure.message = format!("linux.namespaces[{index}].path: {}", failure.message);
    }
    failure
}

/// The program cannot be executed: in words in which docker and kubelet recognise their exit codes
/// 127 and 126.
pub(crate) fn not_executable(name: &str, payload: &[u8]) -> Failure {
    let errno = payload.last_chunk().map_or(22, |b| i32::from_le_bytes(*b));
    let errno = Errno::from_raw_os_error(errno);
    let why = match errno {
        Errno::NOENT if !name.contains('/') => "executable file not found in $PATH".to_owned(),
        other => failure::describe(other),
    };
    fail(ErrorClass::NotFound, format!("exec: {name:?}: {why}"))
}

pub(crate) fn hook_failure(spec: &Spec, payload: &[u8]) -> Option<Failure> {
    let (head, said) = payload.split_at_checked(7)?;
    let [point, index, how, value @ ..] = head else {
        return None;
    };
    let value = i32::from_le_bytes(value.try_into().ok()?);
    let hooks = spec.hooks().as_ref()?;
    let (field, list) = match point {
        0 => ("createContainer", hooks.create_container()),
        _ => ("startContainer", hooks.start_container()),
    };
    let index = usize::from(*index);
    let hook = list.as_ref()?.get(index)?;
    let why = match how {
        b'c' if value == 127 => "it could not be executed (exit code 127)".to_owned(),
        b'c' => format!("it ended with exit code {value}"),
        b's' => format!("signal {value} ended it"),
        b't' => format!("it took longer than {} s", hook.timeout().unwrap_or(0)),
        _ => failure::describe(Errno::from_raw_os_error(value)),
    };
    Some(hooks::failed(
        field,
        index,
        hook,
        &hooks::with_text(&why, said),
    ))
}
