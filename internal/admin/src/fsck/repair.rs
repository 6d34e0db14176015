//! Mends what can be mended without taking anything away that a chain could name: the index, which is derived, and files that
//! never became objects.

use std::collections::BTreeMap;

use super::finding::Repair;
use super::{Finding, Outcome, walk};
use crate::reindex::reindex_partition;
use crate::{Error, Lake};

/// Mends `findings` where it can and says so in them.
///
/// # Errors
/// When the mended index cannot be looked at again. A repair that fails is told in its finding.
pub(crate) async fn repair(lake: &Lake, findings: &mut [Finding]) -> Result<(), Error> {
    let mut done = BTreeMap::<(u32, u32), Outcome>::new();
    for finding in findings {
        let repair = finding.code.repair();
        finding.outcome = match (repair, finding.incarnation.zip(finding.partition)) {
            (Repair::RemoveStaleFiles, _) => remove_stale_files(lake).await,
            (Repair::CatchUpIndex | Repair::ReplaceIndex, Some(place)) => match done.get(&place) {
                Some(outcome) => outcome.clone(),
                None => {
                    let outcome = mend_index(lake, place, repair).await?;
                    done.insert(place, outcome.clone());
                    outcome
                }
            },
            _ => Outcome::Stands,
        };
    }
    Ok(())
}

async fn remove_stale_files(lake: &Lake) -> Outcome {
    match &lake.folder {
        None => Outcome::Stands,
        Some(folder) => match folder.remove_stale_files().await {
            Ok(()) => Outcome::Mended,
            Err(error) => Outcome::NotMended(error.to_string()),
        },
    }
}

/// Mends the index of a partition and looks again.
async fn mend_index(lake: &Lake, (incarnation, partition): (u32, u32), repair: Repair) -> Result<Outcome, Error> {
    let Some(index) = lake.index_of(incarnation) else { return Ok(Outcome::Stands) };
    let chain = lake.chain(incarnation, partition);
    let mended = match repair {
        Repair::CatchUpIndex => match loglake_commit::catch_up(&chain, index).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        },
        _ => reindex_partition(&chain, index).await.map(drop),
    };
    if let Err(error) = mended {
        return Ok(Outcome::NotMended(error.to_string()));
    }
    let again = walk::walk(lake, incarnation, partition).await?;
    let still = again.findings.into_iter().find(|finding| matches!(finding.code.repair(), Repair::ReplaceIndex));
    Ok(still.map_or(Outcome::Mended, |finding| Outcome::NotMended(finding.what)))
}
