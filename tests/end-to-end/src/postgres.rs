//! A real PostgreSQL in a directory of its own, from Debian's package: started, stopped, killed, and gone with its owner.
//!
//! It listens on a Unix socket only, so no port is taken and nobody else reaches it. It refuses to run as root; there it runs
//! as `postgres`, the package's own user, or as `nobody`.

use crate::process::last_lines;
use crate::wait::until;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long it may take to start, recovery after a kill included.
const START_WAIT: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP_WAIT: Duration = Duration::from_secs(30);
/// Where Debian keeps one folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who it may run as when we are root.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// One server and its data.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    user: Option<String>,
    server: Option<Child>,
    folder: TempDir,
}

impl Postgres {
    /// A new, empty one, running. `None` prints why there is none.
    ///
    /// # Errors
    /// It is installed and does not come up.
    pub async fn open() -> Result<Option<Self>> {
        let Some(programs) = programs() else {
            println!("skipped: PostgreSQL is not here (`cargo xtask setup` installs it)");
            return Ok(None);
        };
        let folder = tempfile::Builder::new().prefix("lamplight-pg-").tempdir().context("a directory for PostgreSQL")?;
        let root = std::fs::metadata(folder.path())?.uid() == 0;
        let user = if root { USERS.into_iter().find(|name| is_user(name)).map(str::to_owned) } else { None };
        if root && user.is_none() {
            println!("skipped: PostgreSQL does not run as root, and there is no user {}", USERS.join(" or "));
            return Ok(None);
        }
        let mut this = Self { programs, user, server: None, folder };
        this.hand_over().await?;
        // Durability is the point of what is tested here, but not while an empty database is made.
        let data = this.data();
        let init =
            this.command("initdb").args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D"]).arg(&data).output();
        let init = init.await.context("initdb")?;
        ensure!(init.status.success(), "initdb: {}{}", String::from_utf8_lossy(&init.stdout), String::from_utf8_lossy(&init.stderr));
        this.start().await?;
        Ok(Some(this))
    }

    /// Its address, as `store = "…"` of a configuration takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres:///postgres?host={}&user=postgres", self.folder.path().display())
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again after a stop or a kill, with what it had.
    ///
    /// # Errors
    /// It does not come up in time; with the end of its log.
    pub async fn start(&mut self) -> Result<()> {
        let data = self.data();
        let started = until("PostgreSQL answers", START_WAIT, async || {
            // After a kill its children may need a moment to notice, and a start before that is refused: try again.
            if self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None))) {
                let log = std::fs::File::options().create(true).append(true).open(self.log())?;
                let mut server = self.command("postgres");
                server.arg("-D").arg(&data).arg("-k").arg(self.folder.path()).args(["-c", "listen_addresses="]);
                self.server = Some(server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true).spawn()?);
            }
            self.query("SELECT 1").await.map(|_| Some(()))
        });
        started.await.map(drop).with_context(|| last_lines(&self.log()))
    }

    /// Asks it to end, which closes every session at once.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        self.end("INT").await
    }

    async fn end(&mut self, signal: &str) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        if let Some(pid) = server.id() {
            let _ = Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid}")).status().await;
        }
        let ended = timeout(STOP_WAIT, server.wait()).await;
        ended.with_context(|| format!("PostgreSQL does not end\n{}", last_lines(&self.log())))?.map(drop).context("PostgreSQL")
    }

    /// `pg_ctl stop -m immediate`: nothing is finished, nothing is written; the next start recovers.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop_at_once(&mut self) -> Result<()> {
        self.end("QUIT").await
    }

    /// `kill -9`; what it had promised it must still have at the next start.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill().await.context("killing PostgreSQL")
    }

    /// Runs SQL with `psql`: rows as lines, columns parted by `|`.
    ///
    /// # Errors
    /// It is away, or refuses.
    pub async fn query(&self, sql: &str) -> Result<String> {
        let mut psql = self.command("psql");
        psql.args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--username",
            "postgres",
            "--host",
        ]);
        let said = psql.arg(self.folder.path()).args(["postgres", "--command", sql]).stdin(Stdio::null()).output().await.context("psql")?;
        ensure!(said.status.success(), "psql: {}", String::from_utf8_lossy(&said.stderr).trim());
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    /// Gives the folder to the user it runs as. Others must be able to reach the socket.
    async fn hand_over(&self) -> Result<()> {
        std::fs::set_permissions(self.folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let Some(user) = &self.user else { return Ok(()) };
        let done = Command::new("chown").arg(user).arg(self.folder.path()).status().await.context("chown")?;
        ensure!(done.success(), "chown {user} {}", self.folder.path().display());
        Ok(())
    }

    /// One of its programs, as the right user, killed when we are gone.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(user) = &self.user {
            command.args(["--reuid", user, "--regid", &group(user), "--clear-groups"]);
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(self.programs.join(program)).current_dir(self.folder.path());
        command.env("LC_ALL", "C.UTF-8").env_remove("PGHOST").env_remove("PGPORT").env_remove("PGDATA");
        command
    }
}

/// The newest installed version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path());
    let whole = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    let number =
        |folder: &PathBuf| folder.parent().and_then(Path::file_name).and_then(OsStr::to_str).and_then(|name| name.parse::<u32>().ok());
    let debian = versions.map(|version| version.join("bin")).filter(whole).max_by_key(number);
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.or_else(|| std::env::split_paths(&path).find(whole))
}

fn is_user(name: &str) -> bool {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    known.lines().any(|line| line.split(':').next() == Some(name))
}

/// A user's own group, by number.
fn group(user: &str) -> String {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = known.lines().find(|line| line.split(':').next() == Some(user));
    line.and_then(|line| line.split(':').nth(3)).unwrap_or(user).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_stop_and_after_a_kill() -> Result<()> {
        let Some(mut postgres) = Postgres::open().await? else { return Ok(()) };
        assert_eq!(postgres.query("SELECT 1").await?, "1");
        postgres.query("CREATE TABLE kept (n int)").await?;
        postgres.query("INSERT INTO kept VALUES (1)").await?;
        postgres.stop().await?;
        assert!(postgres.query("SELECT 1").await.is_err(), "it still answers");
        postgres.start().await?;
        postgres.query("INSERT INTO kept VALUES (2)").await?;
        postgres.kill().await?;
        postgres.start().await?;
        assert_eq!(postgres.query("SELECT n FROM kept ORDER BY n").await?, "1\n2");
        assert!(postgres.query("SELECT nothing").await.is_err(), "a refusal is an error");
        postgres.stop().await
    }
}
