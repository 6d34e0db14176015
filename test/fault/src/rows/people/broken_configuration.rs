//! A configuration that is broken at the restart: refused with its place and status 64, the data untouched; put right,
//! everything is there.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::lab::Lab;
use crate::load::Plan;
use crate::rows::Outcome;
use crate::site::Site;

pub(crate) async fn run(lab: &mut Lab) -> Result<Outcome> {
    let file = lab.folder().join("loglake.toml");
    let write = |text: &str, mode: u32| -> Result<()> {
        std::fs::write(&file, text)?;
        Ok(std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?)
    };
    write("log_level = \"info\"\n", 0o600)?;
    let mut dev = lab.dev(&[("LOGLAKE_CONFIG", &file.display().to_string())]).await;
    let run = lab.begin(&Site::of_dev(&dev), Plan::default());
    run.more(200).await?;
    let broken = [
        ("log_levle = \"info\"\n", 0o600, "log_levle"),
        ("[processor]\nwindow = \"1parsec\"\n", 0o600, "processor.window"),
        ("[processor]\nflush_bytes = \"\"\n", 0o600, "processor.flush_bytes"),
        ("[processor\n", 0o600, "loglake.toml"),
        ("cluster_secret = \"0123456789012345678901234567890123456789\"\n", 0o644, "loglake.toml"),
    ];
    for (text, mode, named) in broken {
        dev.process.kill();
        write(text, mode)?;
        dev.start_again();
        let began = Instant::now();
        let status = loop {
            if let Some(status) = dev.process.ended() {
                break status;
            }
            if began.elapsed() > Duration::from_secs(20) {
                bail!("it starts with {text:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let said = dev.process.log_text();
        ensure!(status.code() == Some(64), "{text:?}: it ended with {status}:\n{said}");
        ensure!(said.contains(named), "{text:?}: it does not name {named}:\n{said}");
        write("log_level = \"info\"\n", 0o600)?;
        dev.restart().await;
        run.more(50).await?;
    }
    Ok(Outcome::new(format!("{} broken configurations refused with 64", broken.len()), run.finish().await?))
}
