//! What may serve: the one place that decides it, pure.

use super::{Approval, ApprovalRule, DecisionKind, ModelVersion, Standing, VersionStatus};
use crate::gates::failures;
use crate::{Lifecycle, RegistryError};

/// The latest decision counts.
pub(super) fn standing(approvals: &[Approval]) -> Standing {
    match approvals.last().map(|approval| approval.decision) {
        None => Standing::Undecided,
        Some(DecisionKind::Approve) => Standing::Approved,
        Some(DecisionKind::Reject) => Standing::Rejected,
    }
}

/// Whether an alias may be moved to the version; [`RegistryError::Refused`] says what is in the way.
pub(super) fn may_serve(version: &ModelVersion, rule: ApprovalRule) -> Result<(), RegistryError> {
    let label = version.label();
    let refused = |reason: String| Err(RegistryError::Refused(reason));
    match (version.standing, rule) {
        (Standing::Rejected, _) => {
            return refused(format!("{label} was rejected; approve it first if that has changed"));
        }
        (Standing::Undecided, ApprovalRule::Required | ApprovalRule::FourEyes) => {
            return refused(format!(
                "{label} is not approved, and its model requires approval: `karat models approve`"
            ));
        }
        (Standing::Undecided, ApprovalRule::NotRequired) | (Standing::Approved, _) => {}
    }
    may_be_approved(version)
}

/// Whether approval can be given: nobody approves what is not there, or what its gates keep out.
pub(super) fn may_be_approved(version: &ModelVersion) -> Result<(), RegistryError> {
    let label = version.label();
    if version.lifecycle_stage == Lifecycle::Deleted {
        return Err(RegistryError::Refused(format!("{label} was deleted")));
    }
    if version.status != VersionStatus::Ready {
        return Err(RegistryError::Refused(format!(
            "{label} is not stored completely (its training was cut short): train again to finish it"
        )));
    }
    match failures(&version.gates) {
        Some(failed) => Err(RegistryError::Refused(format!("{label} did not pass its gates: {failed}"))),
        None => Ok(()),
    }
}
