use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use loglake_service::Secret;

/// The layout that this program writes and reads.
const FORMAT: u32 = 1;

/// The folder that `loglake dev` keeps everything in:
///
/// ```text
/// format    the layout's version, a number and a line feed
/// secret    the cluster secret, 64 hexadecimal digits; only its owner may read it
/// log/      the embedded log, with the lock that keeps a second process out
/// index/    the embedded index; may be deleted, it is rebuilt
/// objects/  the bucket
/// ```
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// Opens a folder, or makes it. A folder of a newer version is refused.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let folder = Self(path.to_owned());
        fs::create_dir_all(path).with_context(|| format!("data: {} cannot be made", path.display()))?;
        folder.check_format().with_context(|| format!("data: {}", path.display()))?;
        Ok(folder)
    }

    /// Opens a folder that is there and changes nothing in it.
    pub(crate) fn existing(path: &Path) -> anyhow::Result<Self> {
        let folder = Self(path.to_owned());
        ensure!(
            folder.0.join("format").exists(),
            "{} is no data folder of `loglake dev`; name one with --data, or a cluster with --config",
            path.display()
        );
        folder.check_format().with_context(|| format!("data: {}", path.display()))?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.0.join("index")
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.0.join("objects")
    }

    fn check_format(&self) -> anyhow::Result<()> {
        let path = self.0.join("format");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let is_ours = ["log", "index", "objects"].iter().any(|name| self.0.join(name).exists());
                ensure!(!is_ours, "holds data but no file `format`; is it a data folder of loglake?");
                self.create("format", &format!("{FORMAT}\n"))?;
                return Ok(());
            }
            Err(error) => return Err(error).context("format"),
        };
        match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(()),
            Ok(newer) if newer > FORMAT => {
                bail!("format {newer} is newer than this program, which knows {FORMAT}; use a newer one")
            }
            _ => bail!("the file `format` holds {:?}; it must be {FORMAT}", text.chars().take(20).collect::<String>()),
        }
    }

    /// The cluster secret of this folder; made at the first start.
    pub(crate) fn secret(&self) -> anyhow::Result<Secret> {
        let path = self.0.join("secret");
        if !path.exists() {
            let random: [u8; 32] = rand::random();
            let text = random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            self.create("secret", &format!("{text}\n"))?;
        }
        let file = || format!("data: {}", path.display());
        let mode = fs::metadata(&path).with_context(file)?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{}: others may read it; run: chmod 600 {}", file(), path.display());
        let text = fs::read_to_string(&path).with_context(file)?;
        ensure!(text.trim().len() >= 32, "{}: is shorter than 32 bytes; delete it to get a new one", file());
        Ok(Secret::new(text.trim()))
    }

    /// Makes a whole, durable file that only the owner may read, unless another process was first.
    fn create(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let draft = self.0.join(format!(".{name}.{}", std::process::id()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            let linked = fs::hard_link(&draft, self.0.join(name));
            fs::remove_file(&draft)?;
            match linked {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            File::open(&self.0)?.sync_all()
        };
        write().with_context(|| format!("{name} cannot be written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_folder_gets_a_format_and_a_secret_that_stay() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/data");
        let folder = DataFolder::open(&path).unwrap();
        let secret = folder.secret().unwrap();
        assert_eq!(secret.expose().len(), 64);
        assert_eq!(fs::metadata(path.join("secret")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(DataFolder::open(&path).unwrap().secret().unwrap(), secret);
        assert_eq!(fs::read_to_string(path.join("format")).unwrap(), "1\n");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
    }

    #[test]
    fn a_newer_a_strange_and_an_open_folder_are_refused() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("format"), "2\n").unwrap();
        let why = format!("{:#}", DataFolder::open(root.path()).err().unwrap());
        assert!(why.contains("format 2 is newer"), "{why}");
        fs::write(root.path().join("format"), "one").unwrap();
        assert!(DataFolder::open(root.path()).is_err());
        fs::remove_file(root.path().join("format")).unwrap();
        fs::create_dir(root.path().join("log")).unwrap();
        assert!(format!("{:#}", DataFolder::open(root.path()).err().unwrap()).contains("no file `format`"));

        let other = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(other.path()).unwrap();
        folder.secret().unwrap();
        fs::set_permissions(other.path().join("secret"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(folder.secret().unwrap_err().to_string().contains("chmod 600"));
    }
}
