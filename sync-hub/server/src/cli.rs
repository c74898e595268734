//! The command line.

use crate::config::Config;
use crate::{bundles, commands, configuring, run, users};
use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use web::accounts::Role;
use web::bundles::spool::Ask;

/// Watches many Lamplight sites.
#[derive(Parser, Debug)]
#[command(name = "sync-hub", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serves until SIGTERM or ctrl-c. Prints one JSON line once everything listens.
    Run(Place),
    /// Sites of the fleet.
    #[command(subcommand)]
    Site(SiteCommand),
    /// People who may sign in.
    #[command(subcommand)]
    User(UserCommand),
    /// Proves the record from its bytes; exit 1 names the first bad entry.
    Verify(Place),
    /// Copies record and fleet into a new directory, while the hub runs. `keys/` is not in it: keep a copy elsewhere.
    Backup {
        /// The directory to make.
        to: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Makes record and fleet from a backup, in a data directory that has its `keys/` and nothing else.
    Restore {
        /// A directory made by `backup`.
        from: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// What sites go by: limits and sampling.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Makes a ledger bundle for a site, sealed and signed: what it has not said it has.
    Export {
        /// For which site.
        #[arg(long)]
        site: String,
        /// The file to make.
        #[arg(long)]
        bundle: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Takes in a ledger bundle that a site made.
    Import {
        /// The file.
        #[arg(long)]
        bundle: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Prints the OpenAPI document.
    #[command(hide = true)]
    Openapi,
}

#[derive(Args, Debug)]
struct Place {
    /// The configuration.
    #[arg(long, default_value = "hub.toml")]
    config: PathBuf,
}

#[derive(Subcommand, Debug)]
enum SiteCommand {
    /// Adds a site, or gives an enrolled one a new code; prints the one-time code.
    Add {
        /// 1 to 64 of a-z, 0-9 and -.
        site: String,
        #[command(flatten)]
        place: Place,
    },
    /// Lists the sites, as JSON lines.
    List(Place),
    /// Ends a site's membership, at once and for ever.
    Revoke {
        /// Its name.
        site: String,
        /// Why; kept in the audit.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Whether sites could use a bundle.
    Check {
        /// The bundle, TOML.
        file: PathBuf,
    },
    /// Who goes by what, as JSON lines.
    List(Place),
    /// Rolls a bundle out; each site takes it up when it next syncs, and answers.
    RollOut {
        /// The bundle, TOML.
        file: PathBuf,
        #[command(flatten)]
        whom: Whom,
    },
    /// Takes sites back to what was rolled out to them before.
    RollBack(Whom),
}

#[derive(Args, Debug)]
struct Whom {
    /// all, group:<name> (of hub.toml) or site:<name>.
    #[arg(long)]
    to: String,
    /// Why; kept in the ledger.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand, Debug)]
enum UserCommand {
    /// Adds a person. The password or PIN is one line of standard input, never an argument.
    Add {
        /// The name typed at sign-in.
        user: String,
        /// nurse, technician, operator, admin or auditor.
        #[arg(long, default_value_t = Role::Operator)]
        role: Role,
        /// The name shown.
        #[arg(long)]
        name: Option<String>,
        /// Reads standard input without asking, also on a terminal.
        #[arg(long)]
        pin_stdin: bool,
        #[command(flatten)]
        place: Place,
    },
}

impl Place {
    fn load(&self) -> Result<Config> {
        Config::load(&self.config)
    }
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn execute(self) -> Result<()> {
        match self.command {
            Command::Run(place) => run::run(place.load()?),
            Command::Site(SiteCommand::Add { site, place }) => commands::add_site(&place.load()?, &site),
            Command::Site(SiteCommand::List(place)) => commands::list_sites(&place.load()?),
            Command::Site(SiteCommand::Revoke { site, reason, place }) => commands::revoke_site(&place.load()?, &site, &reason),
            Command::User(UserCommand::Add { user, role, name, pin_stdin, place }) => {
                users::add(&place.load()?, &user, name.as_deref(), role, pin_stdin)
            }
            Command::Config(ConfigCommand::Check { file }) => configuring::check(&file),
            Command::Config(ConfigCommand::List(place)) => configuring::list(&place.load()?),
            Command::Config(ConfigCommand::RollOut { file, whom: Whom { to, reason, place } }) => {
                bundles::command(&place.load()?, &Ask::RollOut { to, reason }, &file)
            }
            Command::Config(ConfigCommand::RollBack(Whom { to, reason, place })) => {
                bundles::command(&place.load()?, &Ask::RollBack { to, reason }, Path::new(""))
            }
            Command::Verify(place) => commands::verify(&place.load()?),
            Command::Backup { to, place } => commands::backup(&place.load()?, &to),
            Command::Restore { from, place } => commands::restore(&place.load()?, &from),
            Command::Export { site, bundle, place } => bundles::command(&place.load()?, &Ask::Export { site: Some(site) }, &bundle),
            Command::Import { bundle, place } => bundles::command(&place.load()?, &Ask::Import, &bundle),
            Command::Openapi => commands::openapi(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_takes_a_secret_as_an_argument() {
        assert!(Cli::try_parse_from(["sync-hub", "user", "add", "amina", "--pin", "4917"]).is_err());
        assert!(Cli::try_parse_from(["sync-hub", "user", "add", "amina", "4917"]).is_err());
    }
}
