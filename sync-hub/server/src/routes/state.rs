//! Whether a site shows the same as the hub: it says what it shows as of which set of entries, and the hub looks at its own.

use super::{site_replica, stopped, unheard};
use crate::authority::fingerprint;
use crate::hub::{Caller, Hub, Stranger};
use axum::Extension;
use axum::extract::{Path, State};
use hub_api::fleet::{ShownState, StateView};
use protocol::StoreError;
use protocol::store::Incident;
use record::document::StateDigest;
use record::id::ReplicaId;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use web::accounts::Role;
use web::json::Json;
use web::listener::Peer;
use web::problem::Problem;
use web::recorder::Desk;
use web::session::Session;

const LOOKS: [Role; 3] = [Role::Operator, Role::Admin, Role::Auditor];

/// The last comparison; the hub's own state if the site has said nothing yet.
pub async fn get(State(hub): State<Arc<Hub>>, session: Session, Path(site): Path<String>) -> Result<axum::Json<StateView>, Problem> {
    session.require_role(&LOOKS)?;
    let replica = site_replica(&hub, &site).await?;
    let held = hub.states().get(&replica).cloned();
    match held {
        Some(view) => Ok(axum::Json(view)),
        None => {
            let worked_out = hub.recorder.write(move |desk| compare(desk, replica, None)).await.map_err(unheard)?;
            worked_out.map(axum::Json).map_err(|error| unread(&error))
        }
    }
}

/// A site says what it shows; it shows its certificate.
pub async fn post(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    Json(said): Json<ShownState>,
) -> Result<axum::Json<StateView>, Problem> {
    let certificate =
        peer.certificate.ok_or_else(|| Problem::unauthorized("no-certificate", "show the client certificate that enrolment gives"))?;
    let (at, print) = (Arc::clone(&hub), fingerprint(&certificate));
    let caller = spawn_blocking(move || at.caller(&print)).await.map_err(|_| stopped())?;
    let Caller { replica, .. } = caller.map_err(|stranger| match stranger {
        Stranger::Store(error) => Problem::of_store(&error),
        other => Problem::forbidden("stranger", other.to_string()),
    })?;
    let done = hub.recorder.write(move |desk| compare(desk, replica, Some(&said))).await.map_err(unheard)?;
    let view = done.map_err(|error| unread(&error))?;
    // Of another set nothing was compared: what was found before stands.
    if view.comparison != "other-set" {
        hub.states().insert(replica, view.clone());
    }
    Ok(axum::Json(view))
}

fn compare(desk: Desk<'_>, replica: ReplicaId, said: Option<&ShownState>) -> Result<StateView, StoreError> {
    let set = desk.replica.digest(replica).all.to_string();
    let own = desk.replica.state_digest(desk.store, replica)?;
    let same_set = said.is_some_and(|said| said.set == set);
    let policy = |text: &str| text.split(':').next().map(str::to_owned);
    let comparison = match (own, said.and_then(|said| said.state.as_deref()), said) {
        (_, _, None) => "not-said",
        (_, _, Some(_)) if !same_set => "other-set",
        (None, ..) | (_, None, _) => "erased",
        (Some((own, _)), Some(theirs), _) if policy(theirs).as_deref() != Some(own.policy.to_string().as_str()) => "other-policy",
        (Some((own, _)), Some(theirs), _) if theirs == own.to_string() => "equal",
        _ => "differs",
    };
    if comparison == "differs" {
        let detail = format!("as of set {set} the site shows other documents than the hub");
        let mut tx = desk.store.begin()?;
        tx.put_incident(&Incident { author: replica, kind: "state-differs".to_owned(), detail, at: desk.now.wall, closed: None })?;
        tx.commit()?;
    }
    let shown = |(digest, _): (StateDigest, u64)| digest.to_string();
    Ok(StateView {
        as_of_ms: desk.now.wall.millis(),
        set,
        state: own.map(shown),
        documents: own.map_or(0, |(_, documents)| documents),
        site_state: said.filter(|_| same_set).and_then(|said| said.state.clone()),
        comparison: comparison.to_owned(),
    })
}

fn unread(error: &StoreError) -> Problem {
    tracing::error!(%error, "a state digest cannot be worked out");
    Problem::of_store(error)
}
