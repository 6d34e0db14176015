//! The folder is read-only at start: the process refuses, and says so. Writable again, everything is there.

use anyhow::{Result, ensure};
use loglake_integration::Dev;

use super::Small;
use crate::lab::{DEV, Lab};
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let disk = Small::mount(&lab.folder().join("disk"), "size=512m")?;
    let mut dev = Dev::start(&lab.folder().join("disk/data"), &DEV).await;
    let run = lab.begin(&Site::of_dev(&dev), Plan::default());
    run.more(300).await?;
    dev.process.kill();
    // The log of the process lies on the disk too; it must not be what fails.
    disk.again("ro")?;
    let log = lab.folder().join("elsewhere");
    let ended = std::process::Command::new(loglake_integration::programs::loglake())
        .args(["dev", "--data", &dev.data().display().to_string()])
        .envs(dev.ports.env())
        .stdout(std::fs::File::create(&log)?)
        .stderr(std::fs::File::options().append(true).open(&log)?)
        .status()?;
    let said = std::fs::read_to_string(&log)?;
    ensure!(!ended.success(), "it ended with success:\n{said}");
    ensure!(said.to_lowercase().contains("read-only"), "it does not say why:\n{said}");
    disk.again("rw")?;
    dev.restart().await;
    let verdict = run.finish().await?;
    drop(dev);
    Ok(Outcome::new("refused to start on a read-only folder, and said so", verdict))
}
