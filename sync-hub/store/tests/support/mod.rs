//! A real PostgreSQL of one's own, in a temporary directory, on a socket.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub struct Server {
    directory: TempDir,
    programs: PathBuf,
    user: Option<String>,
    databases: u32,
}

impl Server {
    /// A running server, or why there can be none.
    pub fn start() -> Result<Self, String> {
        let programs = programs().ok_or("PostgreSQL is not installed (Debian: apt install postgresql)")?;
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
        // PostgreSQL refuses to run as root.
        let user = if root {
            Some(["postgres", "nobody"].into_iter().find(|user| exists(user)).ok_or("no user to run PostgreSQL as")?)
        } else {
            None
        };
        if let Some(user) = user {
            let given = Command::new("chown").arg(user).arg(directory.path()).status();
            given.ok().filter(|status| status.success()).ok_or("the directory cannot be given to another user")?;
        }
        let server = Self { directory, programs, user: user.map(str::to_owned), databases: 0 };
        let data = server.data();
        server.run("initdb", &["-A", "trust", "-U", "lamplight", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-D", &data])?;
        server.up()?;
        Ok(server)
    }

    /// Starts it again, waiting for what is left of the one before to go.
    pub fn up(&self) -> Result<(), String> {
        let directory = self.directory.path().display().to_string();
        let options = format!("-c listen_addresses= -c unix_socket_directories={directory} -c shared_buffers=16MB -c max_connections=20");
        let log = format!("{directory}/log");
        let mut last = String::new();
        for _ in 0..20 {
            match self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-o", &options, "start"]) {
                Ok(()) => return Ok(()),
                Err(why) => last = why,
            }
            std::thread::sleep(std::time::Duration::from_millis(250));
        }
        Err(last)
    }

    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "fast", "-w", "stop"]).expect("stop");
    }

    /// kill -9 to the server's first process; the others end with it.
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).expect("pid file");
        let pid = pid.lines().next().expect("pid").to_owned();
        assert!(Command::new("kill").args(["-9", &pid]).status().expect("kill").success());
    }

    /// The URL of a database nobody has used.
    pub fn fresh(&mut self) -> String {
        self.databases += 1;
        let name = format!("hub{}", self.databases);
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// What psql prints for a statement.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let socket = self.directory.path().display().to_string();
        let out = self.output("psql", &["-h", &socket, "-U", "lamplight", "-d", database, "-AtX", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        let out = out.expect("psql");
        assert!(out.status.success(), "{sql}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    pub fn url(&self, database: &str) -> String {
        format!("host={} user=lamplight dbname={database}", self.directory.path().display())
    }

    pub fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        // Not through a pipe: a server that has been started would hold it open.
        let status = self.command(program, arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().map_err(|e| e.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("{program} failed: {status}")) }
    }

    fn output(&self, program: &str, arguments: &[&str]) -> std::io::Result<Output> {
        self.command(program, arguments).output()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }
}

fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|e| e.path().join("bin")).collect();
    versions.sort();
    versions.into_iter().rev().find(|bin| has(bin))
}

fn has(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "psql"].iter().all(|program| bin.join(program).exists())
}

fn exists(user: &str) -> bool {
    Command::new("id").arg(user).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
