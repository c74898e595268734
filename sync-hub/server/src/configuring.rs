//! Rolling out what sites go by, and seeing who does: what the routes and the command line share.

use crate::config::Config;
use crate::house::House;
use crate::register::SiteRow;
use anyhow::Context;
use hub_api::configuration::{BundleView, ConfigurationState, ConfigurationView, RolledOut};
use hub_core::configuration::{self, Groups, Target, TargetError};
use protocol::replica::{ConfigureError, Standing};
use protocol::{StoreError, Transaction};
use record::id::{ReplicaId, ScopeId};
use record::ledger::Act;
use record::ledger::configuration::Rollout;
use record::ledger::grant::ScopeRole;
use risk::limits::{LimitsError, TEXT_MAX};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use web::recorder::Desk;

/// What is wished for.
#[derive(Clone, Debug)]
pub enum Wish {
    /// This bundle.
    RollOut(String),
    /// What was before.
    RollBack,
}

/// Why nothing was rolled out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The bundle.
    #[error("the bundle cannot be used: {0}")]
    Bundle(#[from] LimitsError),
    /// Nobody is meant, or nobody who is can be told.
    #[error("{0}")]
    Nobody(String),
    /// The ledger.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sites that are meant and belong to the fleet.
///
/// # Errors
/// A group nobody knows, or nobody who belongs.
pub fn meant(to: &Target, rows: &[SiteRow], groups: &Groups) -> Result<Vec<(String, ReplicaId)>, Refused> {
    let belongs = |row: &&SiteRow| row.replica.is_some() && row.revocation.is_none();
    let enrolled: Vec<&SiteRow> = rows.iter().filter(belongs).collect();
    let meant = to.of(enrolled.iter().map(|row| row.site.as_str()), groups)?;
    if meant.is_empty() {
        return Err(Refused::Nobody(format!("{to}: no such site is enrolled here")));
    }
    let of = |row: &&SiteRow| meant.contains(&row.site.as_str()).then(|| Some((row.site.clone(), row.replica?))).flatten();
    Ok(enrolled.iter().filter_map(of).collect())
}

/// Writes what is wished for, for all who can be told, or nothing.
///
/// # Errors
/// Why nothing was written.
pub fn carry_out(desk: Desk<'_>, act: &Act, sites: &[(String, ReplicaId)], wish: &Wish) -> Result<RolledOut, Refused> {
    let (mut rollouts, mut skipped): (Vec<(ReplicaId, Rollout)>, Vec<String>) = (Vec::new(), Vec::new());
    for (site, replica) in sites {
        let scope = desk.replica.site_scope(*replica);
        let rollout = match (wish, scope) {
            (Wish::RollOut(text), scope) => Some(configuration::rollout(site, text)?).filter(|_| scope.is_some()),
            (Wish::RollBack, Some(scope)) => {
                let standing = protocol::replica::standing(desk.store.begin()?.as_mut(), scope)?;
                configuration::before(site, &standing)
            }
            (Wish::RollBack, None) => None,
        };
        match rollout {
            Some(rollout) => rollouts.push((*replica, rollout)),
            None => skipped.push(site.clone()),
        }
    }
    if rollouts.is_empty() {
        let why = match wish {
            Wish::RollOut(_) => "nothing has come from these sites yet: each has to sync once before anything can be rolled out to it",
            Wish::RollBack => "nothing has been rolled out to these sites: there is nothing to go back to",
        };
        return Err(Refused::Nobody(format!("{why} ({})", skipped.join(", "))));
    }
    desk.replica.roll_out(desk.store, desk.now, desk.entropy, act, &rollouts)?;
    Ok(RolledOut { sites: rollouts.into_iter().map(|(_, rollout)| rollout.site).collect(), skipped })
}

/// How each site stands that is enrolled.
///
/// # Errors
/// The store cannot be read.
pub fn views(tx: &mut dyn Transaction, rows: &[SiteRow]) -> Result<Vec<ConfigurationView>, StoreError> {
    let own = |s: &protocol::store::Scope| s.role == Some(ScopeRole::Site);
    let scopes: BTreeMap<ReplicaId, ScopeId> = tx.scopes()?.into_iter().filter(own).map(|s| (s.creator, s.id)).collect();
    let mut views = Vec::new();
    for row in rows {
        let Some(replica) = row.replica else { continue };
        let standing = match scopes.get(&replica) {
            Some(scope) => protocol::replica::standing(tx, *scope)?,
            None => Standing::default(),
        };
        views.push(view(&row.site, &standing));
    }
    Ok(views)
}

fn view(site: &str, standing: &Standing) -> ConfigurationView {
    let ms = |wall_ms: u64| i64::try_from(wall_ms).unwrap_or(i64::MAX);
    let newest = standing.rollouts.first();
    let report = standing.report.as_ref();
    let answers = |rollout: &Rollout| report.filter(|(_, report)| report.about == rollout.digest());
    let answer = newest.and_then(|(_, rollout)| answers(rollout));
    let refused = answer.and_then(|(_, report)| report.refused.clone());
    ConfigurationView {
        site: site.to_owned(),
        state: match (newest, answer) {
            (None, _) => ConfigurationState::Shipped,
            (Some(_), None) => ConfigurationState::Waiting,
            (Some(_), Some(_)) if refused.is_some() => ConfigurationState::Refused,
            (Some(_), Some(_)) => ConfigurationState::Applied,
        },
        wanted: newest.map(|(at, rollout)| BundleView {
            name: rollout.name.clone(),
            sha256: Some(rollout.digest().to_string()),
            at_ms: ms(at.wall_ms),
        }),
        running: report.map(|(at, report)| BundleView {
            name: report.runs.0.clone(),
            sha256: report.runs.1.map(|digest| digest.to_string()),
            at_ms: ms(at.wall_ms),
        }),
        refused,
        program: report.map(|(_, report)| report.program.clone()),
        before: configuration::before(site, standing).map(|rollout| rollout.name),
    }
}

/// Reads a bundle's file, never more of it than a bundle may have.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let at = || file.display().to_string();
    let opened = File::open(file).with_context(at)?;
    opened.take(TEXT_MAX as u64 + 1).read_to_string(&mut text).with_context(at)?;
    anyhow::ensure!(text.len() <= TEXT_MAX, "{}: longer than {TEXT_MAX} bytes", at());
    Ok(text)
}

/// `config check`: whether sites could use it.
///
/// # Errors
/// Why not.
pub fn check(file: &Path) -> anyhow::Result<()> {
    let rollout = configuration::rollout("", &read(file)?).with_context(|| file.display().to_string())?;
    println!("{}", serde_json::json!({"name": rollout.name, "requires": rollout.requires, "sha256": rollout.digest().to_string()}));
    Ok(())
}

/// `config list`: a JSON line a site.
///
/// # Errors
/// The fleet or the record cannot be read.
pub fn list(config: &Config) -> anyhow::Result<()> {
    let house = House::open(config)?;
    let rows = house.shelf.fleet()?.sites()?;
    if !house.shelf.has_record() {
        return Ok(());
    }
    let mut store = house.shelf.reader()()?;
    for view in views(store.begin()?.as_mut(), &rows)? {
        println!("{}", serde_json::to_string(&view)?);
    }
    Ok(())
}
